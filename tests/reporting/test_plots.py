"""Pictures: what is drawn, and that no text breaks or leaves them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from hf_augment.reporting import plots
from hf_augment.reporting.results import Data
from hf_augment.reporting.samples import choose_samples
from tests.reporting.builders import ARMS, REFERENCE, image_store, measured, results


HOSTILE = ("$\\frac$", "\u202eback\nnew", "🙂 汉字", "$x$ and $", "w" * 300, "")


def texts(figure):
    """What is written in a figure, as a reader sees it."""
    png = plots.png(figure)
    assert Image.open(io.BytesIO(png)).format == "PNG"
    return [t.get_text().replace("\\$", "$") for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def all_figures(what):
    return {
        "overview": plots.overview(what),
        "accuracy": plots.accuracy(what),
        "differences": plots.differences(what, what.test),
        "acceptance": plots.acceptance(what),
        "curves": plots.curves(what, {"loss": "training loss", "synthetic_wait": "waiting"}),
        "class_shares": plots.class_shares(what, [arm for arm in what.arms if what.class_shares(arm)]),
        "robustness": plots.heat_map(what, {"typos": dict.fromkeys(what.arms, 0.5)}, "accuracy", "points"),
        "generalization": plots.generalization(what),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return results(tmp_path_factory.mktemp("plots"), runs=measured())


def test_every_picture_names_its_arms_and_units(found):
    units = {
        "overview": "accuracy, % (line: mean, dot: run)",
        "accuracy": "accuracy, % (line: mean, dot: run)",
        "differences": "points of accuracy, 95 % interval",
        "acceptance": "accepted, % of what reached the filter",
        "curves": "optimizer step",
        "class_shares": "optimizer step of the round",
        "robustness": f"points against {REFERENCE}",
        "generalization": "accuracy, % (bar: mean, tick: run)",
    }
    for name, figure in all_figures(found).items():
        written = texts(figure)
        arms = ARMS if name not in ("acceptance", "class_shares") else ("trained", "instruct")
        assert set(arms) <= set(written), name
        assert units[name] in written, name


def test_no_text_leaves_its_picture(tmp_path):
    arms = tuple(f"{arm}_{'with_a_long_name' * 3}" for arm in ARMS)
    made = measured(arms, ("test", "rotten_tomatoes_of_another_source_still"))
    what = results(tmp_path, runs=made, reference=arms[1])
    found = replace(what, acceptance=dict(zip(arms, what.acceptance.values(), strict=False)))
    for name, figure in all_figures(found).items():
        figure.draw_without_rendering()
        # In inches; ticks beyond the ends of an axis are not drawn and do not count.
        box = figure.get_tightbbox()
        assert min(box.x0, box.y0) > -0.02, name
        assert box.x1 < figure.get_figwidth() + 0.02, name
        assert box.y1 < figure.get_figheight() + 0.02, name


def test_text_is_shown_as_it_is(tmp_path):
    arms = ("baseline", *HOSTILE[:5])
    what = results(tmp_path, runs=measured(arms), reference="baseline")
    # Warnings, such as one about a glyph that is missing, are errors.
    written = [text for figure in all_figures(what).values() for text in texts(figure)]
    assert "$\\frac$" in written
    assert "�back�new" in written
    assert "� ��" in written
    assert "w" * 12 + "…" + "w" * 13 in written
    assert not any("\u202e" in text for text in written)


def test_curves_are_the_mean_of_what_all_runs_logged(tmp_path):
    made = measured(("baseline", "trained"), ("test",), seeds=2)
    made[0].curve[:] = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": 0.0}]
    made[1].curve[:] = [{"step": 1, "loss": 3.0}, {"step": 2, "eval_loss": 9.0}, {"step": 3, "loss": 1.0}]
    for run in made[2:]:
        run.curve.clear()
    figure = plots.curves(results(tmp_path, runs=made, reference="baseline"), {"loss": "loss"})
    lines = [[list(map(float, part)) for part in line.get_data()] for line in figure.axes[0].lines]
    thin, mean = [[[1, 2, 3], [1, 0.5, 0]], [[1, 3], [3, 1]]], [[1, 3], [2, 0.5]]
    assert lines == [*thin, mean]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline"]


def test_shares_are_drawn_of_the_classes_that_moved_most(tmp_path):
    classes = [f"class {i}" for i in range(12)]
    made = measured(("baseline", "trained"), ("test",), classes=classes)
    for run in made[3:]:
        run.rounds[1]["class_shares"] = [i / 66 for i in range(12)]
    what = results(tmp_path, runs=made, reference="baseline", data=Data(label_names=classes))
    figure = plots.class_shares(what, ["trained"])
    written = [text.get_text() for text in figure.legends[0].get_texts()]
    # All but the two whose shares are next to what they were, 1/12.
    assert written == [name for i, name in enumerate(classes) if i not in (5, 6)]
    lines = [[list(map(float, part)) for part in line.get_data()] for line in figure.axes[0].lines]
    assert lines[0] == [[32, 64], pytest.approx([100 / 12, 0])]
    assert lines[-1] == [[32, 64], pytest.approx([100 / 12, 100 / 6])]


def test_the_heat_map_s_colours_are_differences_from_the_reference(tmp_path):
    what = results(tmp_path, runs=measured(("baseline", "baseline_same_steps", "trained"), ("test",)))
    values = {"typos": {"baseline": 0.5, REFERENCE: 0.6, "trained": 0.7}, "noise": {REFERENCE: 0.4, "trained": 0.3}}
    image = plots.heat_map(what, values, "accuracy", "points").axes[0].images[0]
    expected = np.array([[-10, 0, 10], [np.nan, 0, -10]])
    assert np.ma.filled(image.get_array(), np.nan) == pytest.approx(expected, nan_ok=True)
    assert image.get_clim() == pytest.approx((-10, 10))


def test_one_arm_has_no_colours_and_no_legend_of_filters(tmp_path):
    what = results(tmp_path, runs=measured((REFERENCE,), ("test",), seeds=1), stores={})
    figure = plots.heat_map(what, {"typos": {REFERENCE: 0.5}}, "accuracy", "points")
    assert len(figure.axes) == 1
    assert set(texts(figure)) == {*("accuracy", REFERENCE, "typos", "50.0")}
    assert len(plots.overview(what).axes) == 2
    assert "reference" in texts(plots.differences(what, "test"))


def test_images_stand_under_their_classes(tmp_path):
    samples = choose_samples(image_store(tmp_path))[:2]
    figure = plots.images(samples)
    assert [axes.get_title() for axes in figure.axes] == ["positive", "negative"]
    assert np.array_equal(figure.axes[1].images[0].get_array(), samples[1].image)
    plots.png(figure)
