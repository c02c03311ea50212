"""The paper's claims at a size that two cores manage: figures over several runs, and a table of claims."""
