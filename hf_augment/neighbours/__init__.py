"""Which real example is nearest: one index for texts, one for features."""
