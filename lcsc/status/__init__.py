"""How far runs are, from their files alone: also while a cluster works, and after everything was killed."""
