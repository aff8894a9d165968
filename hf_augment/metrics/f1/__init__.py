"""`f1` as a module of the `evaluate` library; see `f1.py`."""
