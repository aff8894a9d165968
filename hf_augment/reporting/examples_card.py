"""The card of examples that were generated without a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_augment.reporting.escape import code_block, escape_markdown, markdown_table
from hf_augment.reporting.metadata import synthetic_metadata
from hf_augment.synthesis.shards import Shard, rejections


def filter_rows(accounts: Sequence[Shard]) -> list[list[str]]:
    """Returns a row for each filter, in order: its name, the candidates that reached it, and how many it rejected."""
    left, rejected = sum(account.candidates for account in accounts), rejections(accounts)
    rows = []
    for name, count in rejected.items():
        rows.append([name, str(left), str(count)])
        left -= count
    return rows


def examples_card(
    source: str,
    kind: str,
    made_by: str,
    examples: int,
    counts: Mapping[str, int],
    accounts: Sequence[Shard],
    settings: str,
    files: Mapping[str, str],
) -> str:
    """
    Renders the card of a dataset of generated examples, with the Hub's metadata. Any text is shown as text.

    Args:
        source (`str`): The data whose classes they have.
        kind (`str`): `"text"` or `"image"`.
        made_by (`str`): What generated them.
        examples (`int`): Number of examples.
        counts (`Mapping[str, int]`): Number of those of each class, or with each label.
        accounts (`Sequence[Shard]`): How they came about.
        settings (`str`): What they depend on, JSON.
        files (`Mapping[str, str]`): The files of each configuration of the dataset.
    """
    title = f"Synthetic examples of {made_by} for {source}"
    metadata = synthetic_metadata(title, kind, source, files)
    candidates = sum(account.candidates for account in accounts)
    parts = [
        f"---\n{metadata.to_yaml()}\n---",
        f"# {escape_markdown(title)}",
        f"{examples} examples that {escape_markdown(made_by)} generated and filters accepted, of {candidates} "
        "candidates. No person has checked them: a label is the class that was asked for. Whether they help a "
        "classifier is told by a comparison, `hf_augment experiment`, not by this card.",
        markdown_table(["class", "examples"], [[name, str(count)] for name, count in counts.items()]),
        "What the filters did, each with what the one before let pass:",
        markdown_table(["filter", "candidates", "rejected"], filter_rows(accounts)),
    ]
    if "rejected" in files:
        parts.append(
            "Some of the rejected candidates, with the reason, are the configuration `rejected`: "
            '`load_dataset(FOLDER, "rejected")`.'
        )
    parts += ["What they depend on:", code_block(settings, "json")]
    return "\n\n".join(parts) + "\n"
