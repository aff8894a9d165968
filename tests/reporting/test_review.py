"""The review page: all that was shown is on it, by class and verdict, it can be searched, and nothing else can run."""

import base64
import hashlib
import re

import numpy as np
import pytest

from hf_augment.reporting import review
from hf_augment.reporting.review import write_review
from hf_augment.synthesis.shards import Shard, ShardStore
from tests.reporting.builders import image_store, reject, store
from tests.reporting.chromium import Browser, find_browser
from tests.reporting.test_html import EVIL, TITLE, Outline, is_quiet, needs_browser, shown
from tests.toys import LABELS


def write(path, *args):
    write_review(path, *args)
    return path.read_text(encoding="utf-8")


def policy(text):
    return re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]


def test_everything_is_there_under_class_and_verdict_with_an_id_that_stays(tmp_path):
    made = store(tmp_path / "t", ("a warm film", "a dull one"), sample=[reject("short"), reject("same", "copies")])
    arms = {"trained": made, "trained_crop": made}
    page = write(tmp_path / "a.html", "Run", arms, lambda rows: [(f"like {row['text']}", "0.4 alike") for row in rows])
    text = re.sub(r"\s+", " ", " ".join(Outline(page).text))
    identity = made.folder.name
    assert "trained, trained_crop 2 of 2 examples that the filters accepted, and 2 of 6 that they rejected." in text
    parts = [
        *("negative: accepted (1)", "a dull one", f"{identity}-1 0.4 alike: like a dull one"),
        *("negative: rejected by copies (1)", "same", "too short", "negative: rejected by fluency (1)", "short"),
        *("positive: accepted (1)", "a warm film", f"{identity}-0 0.4 alike: like a warm film"),
    ]
    assert re.search(".*".join(map(re.escape, parts)), text)
    # What was not shown has no id.
    boxes = [value for tag, name, value in Outline(page).attributes if (tag, name) == ("input", "value")]
    assert boxes == [f"{identity}-1", f"{identity}-0"]


def test_images_are_pictured_the_rejected_ones_too_and_a_real_one_once(tmp_path):
    made = image_store(tmp_path / "i", count=3)
    real = np.full((8, 8, 1), 7, np.uint8)
    page = write(tmp_path / "a.html", "Run", {"gan": made}, lambda rows: [(real, "distance 0.5")] * len(rows))
    assert page.count('<img src="data:image/png;base64,') == 4
    assert page.count("background-image: url(data:image/png;base64,") == 1
    assert page.count('class="real real-0"') == 3
    assert "rejected by feature_copies (1)" in page


def test_a_page_has_an_end_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(review, "MOST_SHOWN", 1)
    page = write(tmp_path / "a.html", "Run", {"trained": store(tmp_path / "t")})
    assert "1 of 2 examples that the filters accepted" in page
    assert page.count('<input type="checkbox" value="') == 1


def test_a_stream_of_nothing(tmp_path):
    empty = ShardStore(tmp_path / "e", {"shard_size": 4}, "label", LABELS)
    empty.write(Shard(0, candidates=8, rejected={"fluency": 8}))
    assert "0 of 0 examples" in write(tmp_path / "a.html", "Run", {"trained": empty}, lambda rows: 1 / 0)


@pytest.fixture
def hostile(tmp_path):
    sample = [reject(text, name=EVIL[2], reason=text) for text in EVIL]
    labels = (EVIL[0], EVIL[1])
    stores = {EVIL[0]: store(tmp_path / "t", (EVIL[0], EVIL[4]), sample=sample, labels=labels)}
    stores |= {EVIL[1]: image_store(tmp_path / "i", labels=labels)}
    path = tmp_path / "review.html"
    real = np.zeros((8, 8, 3), np.uint8)
    write_review(path, TITLE, stores, lambda rows: [(EVIL[3] if "text" in row else real, EVIL[2]) for row in rows])
    return path


def test_the_policy_allows_the_one_script_that_is_there(hostile):
    text = hostile.read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.tags.count("script") == outline.tags.count("h1") == outline.tags.count("style") == 1
    assert not {"iframe", "object", "form", "base"} & set(outline.tags)
    assert not [a for a in outline.attributes if a[1].startswith("on") or a[1] == "style"]
    script = re.search(r"<script>(.*)</script>", text[text.index("</main>") :], re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy(text) == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


@needs_browser
def test_a_browser_searches_and_collects_ids_and_runs_nothing_else(hostile, tmp_path):
    with Browser(find_browser(), tmp_path / "profile") as browser:
        browser.open(hostile, 1100, 1400)
        assert browser.evaluate("document.title") == f"Review: {' '.join(shown(TITLE).split())}"

        def after(code):
            """What is left on the page after some code that a person's hands would be."""
            browser.evaluate(f"(() => {{ {code}; return 0 }})()")
            return browser.evaluate("[...document.querySelectorAll('li')].filter((li) => !li.hidden).length")

        def typed(id_, value):
            event = "dispatchEvent(new Event('input'))"
            return f"const e = document.getElementById('{id_}'); e.value = {value!r}; e.{event}"

        # 2 texts, 2 images, 11 + 1 rejects.
        assert after("") == 16
        assert after(typed("search", "7*7")) == 2
        assert after(typed("search", "")) == 16
        assert after(typed("verdict", "accepted")) == 4
        assert after("document.querySelector('li input').click()") == 4
        assert after("document.getElementById('checked').click()") == 1
        (identity,) = {path.parent.name for path in tmp_path.glob("t/*/store.json")}
        assert browser.evaluate("document.getElementById('ids').value") == f"{identity}-1"
        assert browser.evaluate("document.getElementById('save').href").endswith(f"{identity}-1%0A")
        assert is_quiet(browser, hostile)
