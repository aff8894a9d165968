"""`hf_augment report`: what a run found, again."""

import json

import pytest

from hf_augment.cli import main
from hf_augment.reporting import plots
from tests.reporting.card_results import make_results


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "png", lambda figure: b"undrawn")
    (tmp_path / "run/report").mkdir(parents=True)
    (tmp_path / "run/report/results.json").write_text(json.dumps(make_results()))
    return tmp_path / "run"


def test_the_results_are_printed_and_nothing_is_written(run_dir, capsys):
    model = run_dir / "split-0/instruct-0/model"
    for folder in (model, run_dir / "split-0/baseline_same_steps-0/model"):
        folder.mkdir(parents=True)
    before = sorted(run_dir.rglob("*"))
    main(["report", str(run_dir)])
    told = capsys.readouterr().out
    assert "test: mean ± standard deviation over n runs" in told
    assert "\nYes: instruct raises accuracy on test from 70.0 % (baseline_same_steps) to 77.0 %" in told
    assert f"\nReport: {run_dir / 'report/report.html'}\nModel: {model} (instruct" in told
    assert sorted(run_dir.rglob("*")) == before


def test_of_a_file_alone_pages_are_written_where_it_is_asked_for(run_dir, tmp_path, capsys):
    file = (run_dir / "report/results.json").rename(tmp_path / "results.json")
    main(["report", str(file), "--out", str(tmp_path / "pages")])
    assert f"Report: {tmp_path / 'pages/report.html'}\n" in capsys.readouterr().out
    assert "Yes: instruct raises" in (tmp_path / "pages/report.html").read_text()


def test_where_there_is_no_run(tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*results\.json"):
        main(["report", str(tmp_path / "none")])
