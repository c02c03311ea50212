"""Fine-tuning of all weights on the distance, from the same start and with the same care: what a search must beat."""
