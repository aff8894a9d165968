"""
Metrics in the `evaluate` library's format, shipped with the package: loading them asks no network.

`accuracy`, `f1` and `expected_calibration_error` score classifiers, `robustness` their answers to perturbed inputs;
`distinct_n` and `self_bleu` measure how diverse texts are. `frechet_distance`, `kernel_distance`,
`precision_recall_density_coverage`, `nearest_neighbors`, `feature_diversity` and `classification_accuracy_score`
compare synthetic examples with real ones by the features that any model has of them. Each is a folder that
`evaluate.load` takes as it is.
"""
