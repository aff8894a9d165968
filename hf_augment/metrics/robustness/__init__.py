"""`robustness` as a module of the `evaluate` library; see `robustness.py`."""
