"""A page to look at everything that a run's classifiers were shown, and to choose what to throw out."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from hf_augment.extras import optional_imports
from hf_augment.files import write_atomically
from hf_augment.reporting.html import data_uri, page_template
from hf_augment.reporting.samples import image_of, text_of
from hf_augment.synthesis.shards import ShardStore


with optional_imports("images"):
    from PIL import Image


#: The most examples of a stream on a page, which a browser has to hold.
MOST_SHOWN = 10_000

#: From raw examples to the nearest real row of each, a text or an image as uint8 array, and words on how near it is.
Neighbours = Callable[[list[dict[str, Any]]], Sequence[tuple[Any, str]]]


@dataclass
class Item:
    """
    An example on the page.

    Args:
        text (`str`): The whole of it; an array is named by its shape.
        id (`str`, *optional*): Identity of its stream and number of its slot, `"{identity}-{slot}"`; none of a reject.
        reason (`str`, *optional*): Reason of its rejection.
        image (`str`, *optional*): Address of its image.
        nearest (`str`, *optional*): The nearest real row, as text.
        nearest_image (`str`, *optional*): Class of style that shows the nearest real row.
        nearness (`str`, *optional*): Words on how near that is.
    """

    text: str
    id: str = ""
    reason: str = ""
    image: str = ""
    nearest: str = ""
    nearest_image: str = ""
    nearness: str = ""


@dataclass
class Stream:
    """
    A stream of examples on the page: the arms that it fed, what it holds in a sentence, and the examples by class and
    verdict, `"accepted"` or `"rejected by {filter}"`.
    """

    arms: str
    about: str
    groups: dict[tuple[str, str], list[Item]] = field(default_factory=dict)


def write_review(
    path: Path, title: str, stores: Mapping[str, ShardStore], neighbours: Neighbours | None = None
) -> None:
    """
    Writes a page that needs neither the network nor a server: what the filters accepted for each arm, and the kept
    sample of what they rejected, by class and by verdict, with the nearest real row. It has a search box, and boxes
    that collect the ids of what a person does not want, which `hf_augment review` leaves out.

    Generated text is shown and does nothing else: the page's policy allows the one script that it comes with. It
    shows labelled rows, and is not for publication.

    Args:
        path (`Path`): The page.
        title (`str`): Name of the run.
        stores (`Mapping[str, ShardStore]`): The examples of each arm; arms may share a store.
        neighbours (`Callable`, *optional*):
            Takes a list of raw examples, returns for each the nearest real row, a text or a uint8 array of shape
            `(height, width, channels)`, and words on how near it is.
    """
    real = _Styles()
    arms: dict[Path, list[str]] = {}
    for arm, store in stores.items():
        arms.setdefault(store.folder, []).append(arm)
    streams = [_stream(", ".join(named), stores[named[0]], neighbours, real) for named in arms.values()]
    script = importlib.resources.files("hf_augment.reporting").joinpath("templates/review.js").read_text("utf-8")
    page = page_template("review.html.jinja").render(
        title=title,
        streams=streams,
        labels=list(dict.fromkeys(label for stream in streams for label, _ in stream.groups)),
        verdicts=list(dict.fromkeys(verdict for stream in streams for _, verdict in stream.groups)),
        styles=real.css(),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_atomically(path, page.encode())


def example_id(store: ShardStore, slot: int) -> str:
    """The name of an example for good: the identity of its stream and the number of its slot."""
    return f"{store.folder.name}-{slot}"


class _Styles:
    """Images that are shown more than once: each is in the page once, as a class of style."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, image: np.ndarray) -> str:
        return self._names.setdefault(_png(image), f"real-{len(self._names)}")

    def css(self) -> Markup:
        # Of letters, digits and signs that end no style: names and addresses are made here.
        return Markup("\n".join(f".{name} {{ background-image: url({uri}); }}" for uri, name in self._names.items()))


def _stream(arms: str, store: ShardStore, neighbours: Neighbours | None, real: _Styles) -> Stream:
    accounts = list(store.accounts())
    rows: list[tuple[str, str, str, dict[str, Any]]] = []
    for index in store.indices():
        shard = store.read(index)
        ids = [example_id(store, slot) for slot in shard.slots]
        rows += zip(map(_label(store), shard.labels), ["accepted"] * len(ids), ids, shard.examples, strict=True)
    shown = rows[:MOST_SHOWN]
    accepted = sum(account.candidates - sum(account.rejected.values()) for account in accounts)
    rejects = [reject for account in accounts for reject in account.reject_sample]
    about = (
        f"{len(shown)} of {accepted} examples that the filters accepted, and {len(rejects)} of "
        f"{sum(sum(account.rejected.values()) for account in accounts)} that they rejected."
    )
    items = [Item(text_of(example), id=id_, image=_shown_image(example)) for _, _, id_, example in shown]
    if neighbours is not None and shown:
        for item, (value, words) in zip(items, neighbours([row[-1] for row in shown]), strict=True):
            item.nearness = words
            if isinstance(value, np.ndarray):
                item.nearest_image = real.name(value)
            else:
                item.nearest = value
    stream = Stream(arms, about)
    for (label, verdict, _, _), item in zip(shown, items, strict=True):
        stream.groups.setdefault((label, verdict), []).append(item)
    for reject in rejects:
        example, verdict = reject["example"], f"rejected by {reject['filter']}"
        item = Item(text_of(example), reason=reject["reason"], image=_shown_image(example))
        stream.groups.setdefault((_label(store)(reject["label"]), verdict), []).append(item)
    # By class, what was accepted first.
    order = {name: number for number, name in enumerate(store.label_names)}
    stream.groups = dict(sorted(stream.groups.items(), key=lambda group: (order[group[0][0]], group[0][1])))
    return stream


def _label(store: ShardStore) -> Callable[[int], str]:
    return lambda label: store.label_names[label]


def _shown_image(example: dict[str, Any]) -> str:
    image = image_of(example)
    return "" if image is None else _png(image)


def _png(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, format="PNG")
    return data_uri(file.getvalue())
