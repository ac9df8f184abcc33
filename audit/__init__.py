"""Does robustness survive deployment? Two models, one threat model, one verdict."""
