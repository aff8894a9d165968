"""Language models as sources of texts: trained on the labelled texts, or prompted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from huggingface_hub import cached_assets_path
from huggingface_hub.errors import HFValidationError
from transformers import AutoConfig

from hf_augment.data.sources import contents, resolve
from hf_augment.fingerprints import texts_digest
from hf_augment.generator_trainers.causal_lm import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from hf_augment.generators.base import Generator
from hf_augment.generators.cached import CachedGenerator
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.openvino_backend import openvino_draws
from hf_augment.generators.pretrained import load_causal_lm
from hf_augment.generators.prompts import LabelPrompt, Prompt
from hf_augment.generators.sampling import SamplingConfig
from hf_augment.study.arms import LearnedSource, Source
from hf_augment.study.split import Basis, Split
from hf_augment.study.stages import Stages
from hf_augment.study.style import check_style_rows, style_rows_of


def converted(model: str, gguf_file: str) -> Path:
    """
    Returns a folder with the weights of a GGUF file as transformers save them. To read them takes a minute of a slow
    CPU: it is done once on a machine, and kept where the Hub's own files are.
    """

    def work(folder: Path) -> dict[str, Any]:
        if PartialState().is_main_process:
            for part in load_causal_lm(str(resolve(model)), gguf_file=gguf_file, dtype=torch.float32):
                part.save_pretrained(folder / "model")
        return {}

    identity = {"model": model, "gguf_file": gguf_file, "contents": contents(model)}
    stages = Stages(cached_assets_path("hf_augment", "weights"))
    name = f"{Path(gguf_file).stem}-{texts_digest(map(str, identity.values()))[:8]}"
    stages.run(name, identity, work)
    return stages.root / name / "model"


def prompt_of(prompt: Prompt | Callable[..., Prompt], split: Split) -> Prompt:
    """Returns a prompt; one that a function makes of labelled texts, of those of the split."""
    if isinstance(prompt, Prompt):
        return prompt
    names = split.study.data.label_names
    examples: dict[str, list[str]] = {name: [] for name in names}
    for text, label in zip(split.train["text"][:], split.train["label"][:], strict=True):
        examples[names[label]].append(text)
    if split.study.data.labels is not None:
        # A set of labels that no row of the split has is not asked for, but has to have examples, too.
        examples = {name: texts or split.train["text"][:] for name, texts in examples.items()}
    return prompt(names, examples=examples)


def check_prompt(name: str, prompt: Prompt, label_names: Sequence[str]) -> None:
    """Raises `ValueError` if the prompt of a source of this name is not for these labels."""
    try:
        prompt.validate(label_names)
    except ValueError as error:
        raise ValueError(
            f"The prompt of {name!r} is not for the labels of the dataset, {list(label_names)} "
            f"(instruct_negative and instruct_positive in a recipe): {error}"
        ) from error


@dataclass
class _LanguageModel(Source):
    """
    A causal language model.

    Args:
        name (`str`): Name of its folders.
        model (`str`): Hub id, folder or `wheel://` source.
        prompt (`Prompt` or `Callable`):
            Prompt that stands before a text of a class, or asks for one; or, where the model is only prompted, a
            function that makes it of the label names and of `examples`, the labelled texts of a split by label name. A
            `partial` of [`InstructPrompt.for_labels`] is one.
        sampling (`SamplingConfig`, *optional*): Sampling of the texts.
        gguf_file (`str`, *optional*): GGUF file in `model`.
        backend (`str`, *optional*, defaults to `"torch"`): What samples; see [`CausalLMGenerator`].
    """

    name: str
    model: str
    prompt: Prompt | Callable[..., Prompt]
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    gguf_file: str | None = None
    backend: str = field(default="torch", kw_only=True)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def check(self, study: Basis) -> None:
        """
        Raises `OSError` if the model is not there, `ValueError` if the prompt is of other labels, and `ImportError`
        if the backend is not installed.
        """
        if self.backend == "openvino":
            openvino_draws(self.sampling)
        source = resolve(self.model)
        try:
            if self.gguf_file is None:
                AutoConfig.from_pretrained(source, trust_remote_code=False)
            elif Path(source).is_dir() and not (Path(source) / self.gguf_file).is_file():
                raise FileNotFoundError(f"it has no file {self.gguf_file!r}")
        except (OSError, HFValidationError) as error:
            raise OSError(
                f"The model of {self.name!r}, {self.model!r}, is no model folder here and could not be loaded from "
                "the Hub: check the name and the network, or pass a local folder."
            ) from error
        check_prompt(self.name, prompt_of(self.prompt, study.split(0)), study.data.label_names)

    def shows_rows(self, study: Basis) -> bool:
        return prompt_of(self.prompt, study.split(0)).takes_seed_texts

    def pretrained(self, study: Basis) -> CausalLMGenerator:
        """Returns the generator before any training, on the device of the process."""
        device = PartialState().device
        return CausalLMGenerator.from_pretrained(
            resolve(self.model) if self.gguf_file is None else converted(self.model, self.gguf_file),
            label_names=study.data.label_names,
            # One that is made of labelled texts takes this one's place.
            prompt=self.prompt if isinstance(self.prompt, Prompt) else LabelPrompt(),
            sampling=self.sampling,
            dtype=torch.float32 if device.type == "cpu" else None,
            device=device,
            backend=self.backend,
        )


@dataclass
class TrainedLanguageModel(_LanguageModel, LearnedSource):
    """
    A language model that learns the labelled texts of each split; `training` holds arguments of
    [`CausalLMGeneratorTrainingArguments`]. With `style_rows` it first learns, in one pass, the style of so many random
    texts without labels, at most.
    """

    training: dict[str, Any] = field(default_factory=dict)
    style_rows: int = field(default=0, kw_only=True)

    def check(self, study: Basis) -> None:
        """As any language model, and raises `ValueError` if there are no texts to learn the style of."""
        super().check(study)
        check_style_rows(study, self.name, self.style_rows)

    def arguments(self, split: Split, folder: Path) -> CausalLMGeneratorTrainingArguments:
        """Returns the arguments of its training."""
        return CausalLMGeneratorTrainingArguments(
            output_dir=str(folder / "checkpoints"),
            save_strategy="no",
            logging_steps=10,
            **self.training,
            **split.generator_arguments(),
        )

    def train(self, split: Split, folder: Path) -> dict[str, Any]:
        generator, arguments = self.pretrained(split.study), self.arguments(split, folder)
        outputs = []
        if (rows := style_rows_of(split, self.style_rows)) is not None:
            once = dataclasses.replace(arguments, num_train_epochs=1.0, max_steps=-1)
            outputs.append(CausalLMGeneratorTrainer(generator, once, rows, label_column=None).train())
        outputs.append(CausalLMGeneratorTrainer(generator, arguments, split.train).train())
        if PartialState().is_main_process:
            generator.save_pretrained(folder / "model")
        steps, seconds = zip(*((o.global_step, o.metrics["train_runtime"]) for o in outputs), strict=True)
        return {"steps": sum(steps), "seconds": sum(seconds)}

    def load(self, folder: Path) -> Generator:
        return CausalLMGenerator.from_pretrained(folder, device=PartialState().device, backend=self.backend)

    def note(self, first: Split) -> str | None:
        learned = self.learned(first)
        return (
            f"On the first split the {self.name} generator learned "
            f"{f'the style of {self.style_rows} texts without labels, and then ' if self.style_rows else ''}the "
            f"labelled texts in {learned['steps']} steps, {learned['seconds']:.0f} s."
        )


@dataclass
class PromptedLanguageModel(_LanguageModel):
    """
    A language model that is only prompted: the same for all splits and arms, which share its texts, unless its prompt
    is made of the labelled texts of each split, which it then may repeat. What it wrote is kept in the folder
    `candidates`, which several studies may share; by default each has its own.
    """

    candidates: str | None = field(default=None, compare=False)

    @property
    def learns(self) -> bool:  # type: ignore[override]
        return not self.shared

    @property
    def shared(self) -> bool:  # type: ignore[override]
        return isinstance(self.prompt, Prompt)

    def opened(self, split: Split) -> CausalLMGenerator:
        """Returns the model with the prompt of a split."""
        generator = self.pretrained(split.study)
        return generator if self.shared else generator.with_prompt(prompt_of(self.prompt, split))

    def note(self, first: Split) -> str | None:
        if not self.shared:
            return f"The prompts of {self.name} show the model labelled texts of the split, others each time."
        return (
            f"What the {self.name} model wrote is kept and shared by its arms, splits and processes: its cost is that "
            "of the run that asked first, and the intervals do not cover what it would have written another time."
        )

    def open(self, split: Split) -> Generator:
        return CachedGenerator(self.opened(split), self.candidates or split.study.folder / "candidates")
