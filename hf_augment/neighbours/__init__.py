"""The real example nearest to a candidate: one index for texts, one for features."""
