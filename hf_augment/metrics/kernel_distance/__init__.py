"""`kernel_distance` as a module of the `evaluate` library; see `kernel_distance.py`."""
