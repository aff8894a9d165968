"""What the metrics of predicted classes share."""

from __future__ import annotations

import datasets

from hf_augment.extras import optional_imports


with optional_imports("metrics"):
    import evaluate

#: What scikit-learn, which computes them, wants to be cited as.
SCIKIT_LEARN = """
@article{scikit-learn,
    title={Scikit-learn: Machine Learning in {P}ython},
    author={Pedregosa, F. and others},
    journal={Journal of Machine Learning Research},
    volume={12},
    pages={2825--2830},
    year={2011}
}
"""


def class_info(description: str, inputs_description: str, name: str, config_name: str | None) -> evaluate.MetricInfo:
    """What a metric tells `evaluate` of itself; `name` is the function of scikit-learn that computes it."""
    label = datasets.Value("int64")
    feature = datasets.List(label) if config_name == "multilabel" else label
    return evaluate.MetricInfo(
        description=description,
        citation=SCIKIT_LEARN,
        inputs_description=inputs_description,
        features=datasets.Features({"predictions": feature, "references": feature}),
        reference_urls=[f"https://scikit-learn.org/stable/modules/generated/sklearn.metrics.{name}.html"],
    )
