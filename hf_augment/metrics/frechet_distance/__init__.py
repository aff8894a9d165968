"""`frechet_distance` as a module of the `evaluate` library; see `frechet_distance.py`."""
