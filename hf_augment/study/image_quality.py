"""How good generated images are, by the features of a classifier: no download."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np

from hf_augment.generators.base import Generator
from hf_augment.images.arrays import image_arrays
from hf_augment.judges.classifier import ClassifierFeatures, ImageClassifierJudge
from hf_augment.metrics.loading import load_metric
from hf_augment.seeding import derive_rng, derive_seed


#: Real images that generated ones are compared with.
MOST_REAL = 10_000


def measure_quality(
    generator: Generator,
    train: datasets.Dataset,
    test: datasets.Dataset,
    judge: ImageClassifierJudge,
    *,
    per_class: int,
    seed: int,
) -> dict[str, Any]:
    """
    Compares generated images, unfiltered, with those that the generator was trained on.

    `train` and `test` have `image` and `label`; a probe that learned from `per_class` generated images of each class,
    2 or more, is tested on `test`. `judge` reads the classes, and gives the features of all measures. Of `train`, at
    most `MOST_REAL` random images are compared: what each of them is nearest to is looked for.

    Returns:
        `dict[str, Any]`: Figures of the metrics' own names, `agreement` of the judge with the requested class,
        `agreement_per_class` and `per_class` diversity, `n`, and `n_real`.
    """
    labels = [label for label in range(len(generator.label_names)) for _ in range(per_class)]
    examples = generator.generate(labels, derive_seed(seed, "quality"))
    train = train.select(np.sort(derive_rng(seed, "quality real").permutation(len(train))[:MOST_REAL]))
    features = ClassifierFeatures(judge)
    agrees = np.asarray(judge(examples)).argmax(axis=1) == np.array(labels)
    synthetic = features(examples)
    real, held_out = (features([{"image": image} for image in image_arrays(rows)]) for rows in (train, test))
    real_labels = train["label"][:]
    # The metric's default, unless there are fewer images.
    k = min(5, len(synthetic) - 1, len(real) - 1)
    figures: dict[str, Any] = {
        "n": len(labels),
        "n_real": len(train),
        "agreement": float(agrees.mean()),
        "agreement_per_class": agrees.reshape(-1, per_class).mean(axis=1).tolist(),
    }
    both = {"labels": labels, "real_labels": real_labels}
    for name, options in (
        ("feature_diversity", both),
        ("frechet_distance", {}),
        # Subsets of half the images, since whole sets would not differ and have no deviation; 1000 are usual.
        ("kernel_distance", {"seed": seed, "subset_size": min(max(min(len(synthetic), len(real)) // 2, 2), 1000)}),
        ("precision_recall_density_coverage", {"k": k}),
        ("nearest_neighbors", {}),
        ("classification_accuracy_score", {"labels": labels, "real": held_out, "real_labels": test["label"][:]}),
    ):
        figures |= load_metric(name).compute(data=synthetic, **({"real": real} | options))
    return {name: value for name, value in figures.items() if name not in ("indices", "distances")}


def quality_table(
    quality: dict[str, Any], label_names: list[str], who: str
) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Rows for a report: what was measured and what came out."""
    worst = int(np.argmin(quality["agreement_per_class"]))
    least = int(np.argmin(quality["per_class"]))
    rows: list[tuple[str, ...]] = [
        ("read as the class asked for", f"{100 * quality['agreement']:.1f} %"),
        ("the same, worst class", f"{100 * quality['agreement_per_class'][worst]:.1f} % ({label_names[worst]})"),
        ("diversity within a class, real = 1", f"{np.mean(quality['per_class']):.2f}"),
        ("the same, least class", f"{quality['per_class'][least]:.2f} ({label_names[least]})"),
        ("Fréchet distance", f"{quality['frechet_distance']:.2f}"),
        ("kernel distance", f"{quality['kernel_distance']:.4f} ± {quality['kernel_distance_std']:.4f}"),
        ("precision, recall", f"{quality['precision']:.2f}, {quality['recall']:.2f}"),
        ("density, coverage", f"{quality['density']:.2f}, {quality['coverage']:.2f}"),
        ("distance to the nearest training image, real = 1", f"{quality['relative_distance']:.2f}"),
        ("copies (nearer than 0.1)", f"{100 * quality['copies']:.1f} %"),
        (
            "linear probe: trained on generated, tested on the test set",
            f"{quality['classification_accuracy_score']:.3f}",
        ),
    ]
    if "accuracy_alone" in quality:
        rows.append(("classifier of as many generated images as labelled ones", f"{quality['accuracy_alone']:.3f}"))
    compared = f"{quality['n']} generated images beside {quality['n_real']} training images"
    return f"{compared}, by the features of {who}", ("measure", "value"), rows
