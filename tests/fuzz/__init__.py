"""Mutated input for whatever reads what strangers send: `python -m tests.fuzz`."""
