"""`self_bleu` as a module of the `evaluate` library; see `self_bleu.py`."""
