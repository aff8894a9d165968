"""`nearest_neighbors` as a module of the `evaluate` library; see `nearest_neighbors.py`."""
