"""The classification accuracy score, in the format of the `evaluate` library: loaded from its folder, no network."""

from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_augment.checks import check_labels
from hf_augment.metrics.features import check_features, feature_info


_DESCRIPTION = """
The classification accuracy score is the accuracy on real examples of a classifier trained on synthetic ones only. It
falls when synthetic examples look unlike real ones, lack some of their variety, or do not fit their labels.
"""

_KWARGS_DESCRIPTION = """
Ravuri and Vinyals 2019, who train a ResNet on images. With the default classifier this is not their score
but a linear probe: a logistic regression on the features given. Compare either only with scores of the same classifier
and features, best with that of training on as many real examples.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> score = load_metric("classification_accuracy_score")
>>> data, real = [[0.0], [1.0], [8.0], [9.0]], [[2.0], [3.0], [7.0], [1.0]]
>>> score.compute(data=data, labels=[0, 0, 1, 1], real=real, real_labels=[0, 0, 1, 1])
{'classification_accuracy_score': 0.75}
```

Args:
    data (`list[list[float]]`):
        Features of the synthetic examples, or their flattened images: `(examples, features)`; kept in float32.
    labels (`Sequence[int]`): The class of each synthetic example, from 0 on; two classes or more.
    real (`Sequence[Sequence[float]]`): The same of real examples that the generator was not trained on.
    real_labels (`Sequence[int]`): The class of each real example, from 0 on.
    classifier (*optional*):
        Anything with scikit-learn's `fit` and `predict`. A clone of it is trained, so it stays as it is. Defaults to
        `LogisticRegression(max_iter=1000)` on standardised features, which draws nothing at random.

Returns:
    `dict[str, float]`: `classification_accuracy_score`, in `[0, 1]`; more is better.

Raises:
    `ValueError`: If one side is no table of finite numbers with two rows or more, their widths differ, labels do not
        suit the examples, or `labels` has one class only.
"""

_CITATION = """
@inproceedings{ravuri2019classification,
    title={Classification Accuracy Score for Conditional Generative Models},
    author={Ravuri, Suman and Vinyals, Oriol},
    booktitle={Advances in Neural Information Processing Systems},
    year={2019}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class ClassificationAccuracyScore(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return feature_info(_DESCRIPTION, _KWARGS_DESCRIPTION, _CITATION, "https://arxiv.org/abs/1905.10887")

    def _compute(
        self,
        data: Sequence[Sequence[float]],
        labels: Sequence[int],
        real: Sequence[Sequence[float]],
        real_labels: Sequence[int],
        classifier: Any = None,
    ) -> dict[str, float]:
        synthetic, reference = check_features(data, real)
        classes = check_labels("labels", labels, len(synthetic))
        real_classes = check_labels("real_labels", real_labels, len(reference))
        if (classes == classes[0]).all():
            raise ValueError(
                f"`labels` has no class but {classes[0]}. Give synthetic examples of two classes or more."
            )
        if classifier is None:
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        # Not safe: what is no estimator of scikit-learn is copied instead.
        fitted = clone(classifier, safe=False)
        fitted.fit(synthetic, classes)
        accuracy = np.mean(np.asarray(fitted.predict(reference)) == real_classes)
        return {"classification_accuracy_score": float(accuracy)}
