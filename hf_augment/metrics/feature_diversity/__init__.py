"""`feature_diversity` as a module of the `evaluate` library; see `feature_diversity.py`."""
