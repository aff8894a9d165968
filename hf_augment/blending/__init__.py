"""Plans of indices: which rows of a batch are real and which are slots of the synthetic stream. Knows no generator."""
