"""`precision_recall_density_coverage` as a module of the `evaluate` library."""
