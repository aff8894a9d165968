"""`expected_calibration_error` as a module of the `evaluate` library; see `expected_calibration_error.py`."""
