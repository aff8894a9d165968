"""`classification_accuracy_score` as a module of the `evaluate` library; see `classification_accuracy_score.py`."""
