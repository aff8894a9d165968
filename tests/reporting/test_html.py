"""The page: what it says, and that a browser shows it whole, asks nothing of the network and runs nothing."""

import base64
import html
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from hf_augment.reporting import plots
from hf_augment.reporting.report import write_report
from hf_augment.reporting.results import Data
from tests.reporting.builders import REFERENCE, image_store, measured, reject, results, store
from tests.reporting.chromium import NAMES, Browser, find_browser


EVIL = (
    "<script>document.title='hacked'</script>",
    '"><img src=x onerror="document.title=\'hacked\'">',
    "</style><style>body{display:none}</style>",
    "</title></td></table><h1>out</h1><!--",
    "{{7*7}} {% raw %} {{ [].__class__ }}",
    "$\\frac$ &lt;b&gt; &amp;",
    "javascript:document.title='hacked'",
    "<a href='https://evil.example/'>a</a><iframe src=https://evil.example></iframe>",
    "\u202edesrever\u202c \x1b[31m \ud800 \x00",
    "🙂 汉字 مرحبا",
    "w" * 300,
)
TITLE = "<script>document.title='hacked'</script></title> {{7*7}} \u202ereport"


class Outline(HTMLParser):
    """The elements of a page and the text of its cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_data(self, data):
        self.text.append(data)


def page(folder, what):
    write_report(folder, what, Console(file=io.StringIO(), width=100))
    return (folder / "report.html").read_text(encoding="utf-8")


def shown(text):
    """What a reader sees of a text."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def picture(folder):
    folder.mkdir(parents=True)
    Image.new("RGB", (30, 20), "teal").save(folder / "samples.png")
    return {"samples.png": EVIL[1]}


def hostile_facts(tmp_path, folder):
    """Everything that can come from outside says something evil."""
    arms = ("baseline", REFERENCE, *EVIL[:5])
    sample = [reject(text, reason=text) for text in EVIL]
    labels = (EVIL[0], EVIL[1])
    stores = {
        EVIL[0]: store(tmp_path / "t", (EVIL[1], EVIL[10]), {EVIL[2]: 3, "fluency": 1}, sample, labels),
        EVIL[1]: image_store(tmp_path / "i", labels=labels),
    }
    return results(
        tmp_path,
        runs=measured(arms, ("test", EVIL[4], EVIL[1]), 2, perturbations=EVIL[:6], classes=labels),
        title=TITLE,
        settings={EVIL[0]: EVIL[2], "nested": {EVIL[3]: list(EVIL[:9])}},
        stores=stores,
        notes=list(EVIL),
        tables=[(EVIL[0], (EVIL[1], EVIL[5]), [(text, EVIL[3]) for text in EVIL])],
        pictures=picture(folder),
        command=EVIL[0] + "\n" + EVIL[3],
        versions={EVIL[3]: EVIL[2]},
        data=Data(EVIL[0], label_names=list(labels), train_rows=8, note=EVIL[2]),
        models={"classifier": EVIL[3], EVIL[0]: EVIL[1]},
        memorization={EVIL[0]: {EVIL[2]: 0.5}},
        nearest={EVIL[0]: lambda examples: [(EVIL[i % len(EVIL)], 0.5) for i, _ in enumerate(examples)]},
    )


@pytest.fixture
def undrawn(monkeypatch):
    """What a test does not look at need not be drawn."""
    monkeypatch.setattr(plots, "png", lambda figure: b"undrawn")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("hostile")
    page(tmp_path / "report", hostile_facts(tmp_path, tmp_path / "report"))
    return tmp_path / "report/report.html"


def test_text_is_escaped_and_nothing_can_run(hostile):
    text = hostile.read_text(encoding="utf-8")
    outline = Outline(text)
    assert not {"script", "iframe", "object", "form", "base"} & set(outline.tags)
    assert outline.tags.count("h1") == outline.tags.count("style") == outline.tags.count("title") == 1
    assert not [a for a in outline.attributes if a[1].startswith("on") or a[1] in ("style", "srcset", "action")]
    links = [value for _, name, value in outline.attributes if name in ("href", "src")]
    assert {link.partition(",")[0].partition("-")[0] for link in links} == {
        *("#part", "#settings", "data:", "data:image/png;base64")
    }
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "\u202e" not in text
    assert "49" not in {word.strip() for word in outline.text}
    written = {word.strip() for word in outline.text}
    assert {shown(evil) for evil in EVIL} <= written
    assert shown(TITLE) in written


def test_pictures_are_in_the_page(tmp_path):
    folder = tmp_path / "report"
    pictures = picture(folder)
    text = page(folder, results(tmp_path, runs=measured(), pictures=pictures))
    uris = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', text)
    assert len(uris) == text.count("<img")
    contents = {base64.b64decode(uri) for uri, _ in uris}
    for name in ("samples.png", "curves.png", "robustness.png", "generalization.png"):
        assert (folder / name).read_bytes() in contents
    assert html.escape(EVIL[1]).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in [alt for _, alt in uris]


def test_the_page_has_every_chapter_in_order(tmp_path, undrawn):
    nearest = {"trained": lambda examples: [("a labelled row", 0.25)] * len(examples)}
    given = {"memorization": {"trained": {"largest_similarity": 0.75}}, "nearest": nearest, "command": "make it"}
    text = page(tmp_path / "report", results(tmp_path, runs=measured(), versions={"torch": "2.15"}, **given))
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert headings == [
        *("Did it help?", "What did it cost?", "What was the model shown?", "Accuracy", "Learning curves"),
        *("Rounds", "Robustness", "Generalisation", "Classes", "Guard", "Notes", "Limits", "Settings"),
    ]
    # The guard's decision, of each run that had it.
    decision = ["trained", "0", "2", "64", "1.000", "0.500"]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)]
    assert decision in cells
    assert ["positive", "a warm film", "a labelled row", "0.25"] in cells
    assert ["largest similarity", "0.750"] in cells
    assert ["torch", "2.15"] in cells
    assert ["0", "1", "6.0", "4.0"] in cells
    assert ["negative", "30", "50.0", "51.0", "52.0", "53.0"] in cells
    assert "<code>make it</code>" in text
    verdicts = re.findall(r'<li class="(\w+)"><b>(\w+)</b>: <span class="badge">([\w ]+)</span>', text)
    assert [arm for _, arm, _ in verdicts] == ["baseline", "trained", "instruct"]
    assert {kind for kind, _, _ in verdicts} <= {"helps", "hurts", "open"}


def test_numbers_are_aligned_and_words_are_not(tmp_path, undrawn):
    tables = [("T", ("a", "b", "c"), [("1.5 ± 0.1", "+0.5 to -7.4", "1 of 2"), ("-", "12.0 %", "3")])]
    text = page(tmp_path / "report", results(tmp_path, tables=tables))
    assert '<td class="number" dir="auto">1.5 ± 0.1</td>' in text
    assert '<td class="number" dir="auto">12.0 %</td>' in text
    assert '<td class="short" dir="auto">1 of 2</td>' in text


BROWSER = find_browser()
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"no browser found, none of {', '.join(NAMES)}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(BROWSER, tmp_path_factory.mktemp("profile")) as running:
        yield running


def screenshots(browser, path, name, folders):
    """Opens a page as a desk and as a phone have it; both pictures go to all folders."""
    for kind, width, height in (("desktop", 1280, 900), ("phone", 390, 844)):
        browser.open(path, width, height, mobile=kind == "phone")
        # Nothing sticks out: wide tables scroll in a box of their own.
        assert browser.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
        taken = browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        for folder in folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}-{kind}.png").write_bytes(base64.b64decode(taken))


def is_quiet(browser, path):
    """Whether the page asked for itself alone, and had nothing to say."""
    requests = {event["request"]["url"] for event in browser.of("Network.requestWillBeSent")}
    complaints = (
        "Log.entryAdded",
        "Runtime.consoleAPICalled",
        "Runtime.exceptionThrown",
        "Page.javascriptDialogOpening",
    )
    return {r for r in requests if not r.startswith("data:image/png;base64,")} == {path.as_uri()} and not browser.of(
        *complaints
    )


@needs_browser
def test_a_browser_shows_hostile_text_as_text(browser, hostile, tmp_path):
    browser.events.clear()
    screenshots(browser, hostile, "hostile", [tmp_path, *filter(None, [os.environ.get("HF_AUGMENT_SCREENSHOTS")])])
    assert is_quiet(browser, hostile)
    assert browser.evaluate("document.title") == " ".join(shown(TITLE).split())
    assert browser.evaluate("document.querySelectorAll('script, iframe, main h1').length") == 0
    assert browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true) || 0") == 0
    text = browser.evaluate("document.body.innerText")
    assert all(" ".join(shown(evil).split()) in " ".join(text.split()) for evil in EVIL)
    broken = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).length"
    assert browser.evaluate(broken) == 0
    for kind, width in (("desktop", 1280), ("phone", 390)):
        with Image.open(tmp_path / f"hostile-{kind}.png") as taken:
            assert taken.width == width
            assert taken.height > 2000


@needs_browser
def test_a_browser_shows_one_arm_of_one_run(browser, tmp_path):
    what = results(tmp_path, runs=measured((REFERENCE,), ("test",), seeds=1), stores={}, notes=[])
    page(tmp_path / "report", what)
    browser.events.clear()
    path = tmp_path / "report/report.html"
    screenshots(browser, path, "one-arm", [tmp_path, *filter(None, [os.environ.get("HF_AUGMENT_SCREENSHOTS")])])
    assert is_quiet(browser, path)
    assert "No answer: nothing was tried" in browser.evaluate("document.body.innerText")


@needs_browser
def test_the_browser_of_these_tests_would_notice(browser, tmp_path):
    evil = tmp_path / "evil.html"
    evil.write_text(
        "<title>a</title><script>document.title = 'hacked'; console.error('b')</script>"
        "<img src='http://127.0.0.1:9/x.png'><div style='width: 3000px'>wide</div>"
    )
    browser.events.clear()
    browser.open(evil, 390, 844)
    assert browser.evaluate("document.title") == "hacked"
    assert not is_quiet(browser, evil)
    assert browser.of("Runtime.consoleAPICalled")
    assert "http://127.0.0.1:9/x.png" in {e["request"]["url"] for e in browser.of("Network.requestWillBeSent")}
    assert browser.evaluate("document.documentElement.scrollWidth") > 390
