"""`accuracy` as a module of the `evaluate` library; see `accuracy.py`."""
