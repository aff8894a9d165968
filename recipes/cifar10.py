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
    trained_flip_crop, … + both; so any arm with a generator, if its name is given with that end
    trained_unfiltered   + images that no filter judged
    trained_guarded      + images, and a guard that may lower their share
    real                 + real images that are not among the labelled ones: the ceiling
Every arm is trained three times, with three seeds, or with --train_per_class on three draws of the labelled images:
one run gives no verdict.

Every step keeps its result in output_dir; run the command again and what is done is not done again. A step that was
interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from hf_augment.progress import one_line_errors, working


with working("Loading PyTorch and transformers"):
    from hf_augment import AugmentingTrainingArguments
    from hf_augment.study.arguments import parse_arguments
    from hf_augment.study.arms import Arm
    from hf_augment.study.image import ImageFilters, describe_images, load_image_data
    from hf_augment.study.image_classifier import ImageClassifier
    from hf_augment.study.image_settings import ImageExperimentArguments
    from hf_augment.study.image_sources import TrainedDCGAN
    from hf_augment.study.pseudo_labels import PseudoLabels
    from hf_augment.study.study import Study
    from hf_augment.study.variants import arms_by_name


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
    dataloader_pin_memory: bool = field(default=False, metadata={"help": "The collator puts batches on the device."})


def trained_source(args: ImageExperimentArguments) -> TrainedDCGAN:
    """The DCGAN that learns the labelled images of each split."""
    return TrainedDCGAN(
        "trained",
        shape={
            "latent_size": args.generator_latent_size,
            "width": args.generator_width,
            "spectral_norm": args.generator_spectral_norm,
            "projection": args.generator_projection,
        },
        training={
            "num_train_epochs": args.generator_num_train_epochs,
            "per_device_train_batch_size": args.generator_batch_size,
            "learning_rate": args.generator_learning_rate,
            "loss": args.generator_loss,
            "ema_decay": args.generator_ema_decay,
            "diff_augment": args.generator_diff_augment,
            "mismatched_share": args.generator_mismatched_share,
            "mode_seeking": args.generator_mode_seeking,
        },
        how={
            "save_steps": args.generator_save_steps,
            "sample_steps": args.generator_sample_steps,
            "cuda_graph": args.cuda_graph,
            "data_on_device": args.cuda_graph,
        },
        style_rows=args.generator_style_rows,
    )


def build(args: ImageExperimentArguments, training: AugmentingTrainingArguments) -> Study:
    """Puts the study together; nothing is trained yet, and what cannot work is refused."""
    # 1. What generates: a DCGAN that learns the labelled images.
    source = trained_source(args)

    # 2. What judges the images. The judges of labels were each trained without one fold of the labelled images,
    #    because one that has seen an image confirms a copy of it.
    filters = ImageFilters(
        min_copy_distance=args.min_copy_distance,
        max_excess=args.max_excess,
        min_label_probability=args.min_label_probability,
        judge_folds=args.judge_folds,
    )

    # 3. The arms: classic augmentation, the generator by its names on the command line, and both together.
    arms = [Arm(name, augment=name) for name in args.classic]
    sources = [source, PseudoLabels(confident_share=args.pseudo_label_share)]
    both = {source.name: [f"{source.name}_{kind}" for kind in args.classic]}
    names = [name for given in args.generators for name in [given, *both.get(given, [])]]
    arms += arms_by_name(list(dict.fromkeys(names)), sources, filters, args.classic)

    # 4. The labelled images, the test set and the hold-outs.
    data = load_image_data(args, training.seed)

    # 5. The classifier that every arm trains anew.
    shape = data.train.features["image"].shape
    classifier = ImageClassifier(data.label_names, shape, args.width, args.dropout, args.cuda_graph)
    return Study(data, classifier, training, arms, **args.comparison())


def main(args: ImageExperimentArguments, training: AugmentingTrainingArguments) -> None:
    """Runs the study and reports it."""
    with working("Loading the images"):
        study = build(args, training)

    # 6. Train: of each split the baselines, then the generator and its judges, then the augmented arms. Each is the
    #    same Trainer call, with a generator and filters or without.
    study.run(args.processes, rebuild=partial(build, args, training))

    # 7. Report what changed on the test set, on hold-outs and on corrupted images, what it cost, what the model was
    #    shown, and how good the generated images are. What may be published is laid out, and pushed if asked to: now
    #    or by `hf_augment push RUN`.
    told = {}
    if args.quality_per_class and any(source.learns for source in study.sources()):
        with working("Measuring the generated images"):
            told = describe_images(study, trained_source(args), args.quality_per_class, args.quality_steps)
    study.report(vars(args), **told)


if __name__ == "__main__":
    with one_line_errors():
        main(*parse_arguments([ImageExperimentArguments, Cifar10TrainingArguments]))
