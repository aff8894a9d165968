"""
Does a generator help an image classifier? The whole experiment, in numbered steps.

    accelerate launch recipes/cifar10.py                                       # the documented one: ResNet-18, DCGAN
    python recipes/cifar10.py --config recipes/configs/cifar10_quickstart.yaml # minutes, on a CPU, without the Hub
    python recipes/cifar10.py --help                                           # every value can be set

Arms, each with the same labelled images and the same seeds:
    baseline             the stock Trainer
    baseline_same_steps  the stock Trainer with as many optimizer steps as the augmented arms: the fair comparison
    flip_crop, …         as many steps, with classic augmentation of torchvision (--classic)
    trained              + images from a DCGAN that was trained on the same labelled images
    trained_flip_crop, … + both
    trained_unfiltered   + images that no filter judged
    trained_guarded      + images, and a guard that may lower their share
    real                 + real images that are not among the labelled ones: the ceiling

The steps (hf_augment/study/experiment.py tells them for all kinds of data):
    1. Draw the labelled images of a split; train the baselines, and classic augmentation.
    2. Train the DCGAN on them.
    3. Train the judges of what it makes: each without one fold of the labelled images, because who has seen an image
       confirms a copy of it.
    4. Train the augmented arms: the same Trainer call with a generator and filters, with and without classic
       augmentation of all rows.
    5. Report what changed on the test set, on hold-outs and on corrupted images, what it cost, what the model was
       shown, and how good the generated images are.
    6. Lay out what may be published, and push it, if asked to: now or by `python -m hf_augment push RUN_DIR`.

Every step keeps its result in output_dir; run the command again and what is done is not done again. A step that was
interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_augment import AugmentingTrainingArguments
from hf_augment.study.command import main
from hf_augment.study.image import ImageExperiment, ImageExperimentArguments


@dataclass
class Cifar10TrainingArguments(AugmentingTrainingArguments):
    """The classifier's arguments; the defaults that differ from the Trainer's are the documented ones."""

    output_dir: str | None = field(default="runs/cifar10", metadata={"help": "Where every step keeps its result."})
    num_train_epochs: float = field(default=50.0, metadata={"help": "Passes over the labelled images."})
    learning_rate: float = field(default=1e-3, metadata={"help": "Of Adam: AdamW without weight decay."})
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Rows of a training batch."})
    per_device_eval_batch_size: int = field(default=256, metadata={"help": "Rows of an evaluation batch."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept of a run."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator takes raw images."})


if __name__ == "__main__":
    main(ImageExperiment, [ImageExperimentArguments, Cifar10TrainingArguments])
