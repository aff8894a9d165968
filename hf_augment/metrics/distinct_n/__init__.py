"""`distinct_n` as a module of the `evaluate` library; see `distinct_n.py`."""
