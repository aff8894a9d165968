"""`hf_augment fill`: the command of a training but for the verb, after which the training only reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from hf_augment import Arm, NearDuplicates
from hf_augment.cli import main
from hf_augment.files import read_json, write_json
from hf_augment.generators.cached import CachedGenerator
from hf_augment.study.arms import Given, Mixture, RealRows
from hf_augment.study.filling import make_shards, with_made
from hf_augment.study.job_order import made_ahead, worker_of
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.shards import ShardStore
from hf_augment.training.blend import SHARD_FOLDER
from tests.study.test_own_arm import EASY, MODELS, accepting  # noqa: F401 - a fixture
from tests.study.test_own_data import tiny  # noqa: F401 - a fixture
from tests.study.test_study import make  # noqa: F401 - a fixture
from tests.toys import TEXT
from tests.training.test_ranks import environment


#: Forty slots, in five shards.
SHARDS = ["--max_steps", "20", "--synthetic_reuse", "1", "--synthetic_shard_size", "8"]


def command(verb, *more, folder="mine"):
    return [verb, "tickets.csv", *MODELS, *EASY, *SHARDS, "--output_dir", folder, *more]


def arrow(folder):
    return {path.name: path.read_bytes() for path in (Path(folder) / SHARD_FOLDER).rglob("*.arrow")}


def breaks(*_):
    raise AssertionError("nothing is left to generate")


def test_after_it_a_training_only_reads_and_saves_the_same_file(tiny, accepting, monkeypatch, capsys):  # noqa: F811
    main(command("train", folder="alone"))
    main(command("fill", "--shards", "1:9"))
    told = capsys.readouterr().out
    assert "\n4 shards were made here, 0 by others or before.\n! 4 shards, from number 5 on, are not needed" in told
    assert "prompted: accuracy" not in told.partition("were made here")[2]
    assert not Path("mine/model.safetensors").exists()
    main(command("fill"))
    assert "\n1 shards were made here, 4 by others or before." in capsys.readouterr().out
    assert {path.name for path in Path("mine").iterdir()} == {".cache"}
    monkeypatch.setattr(CachedGenerator, "generate", breaks)
    main(command("train"))
    assert arrow("mine") == arrow("alone")
    one, other = (Path(folder, "model.safetensors").read_bytes() for folder in ("mine", "alone"))
    assert one == other


def test_with_a_memory_candidates_are_filled(tiny, monkeypatch):  # noqa: F811
    monkeypatch.setattr("hf_augment.study.text.TextFilters.__call__", lambda *_: [NearDuplicates()])
    # A second attempt would be for what the shards before hold, too.
    once = ("--synthetic_max_attempts", "1")
    main(command("fill", *once))
    assert arrow("mine") == {}
    monkeypatch.setattr(CachedGenerator, "generate", breaks)
    main(command("train", *once))
    assert arrow("mine") != {}


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--shards", "7"], "shards='7' must be FIRST:END"),
        (["--shards", "3:3"], "shards='3:3' must be FIRST:END"),
        (["--arm", "baseline_same_steps"], "arm='baseline_same_steps' generates nothing"),
        (["--world_size", "0"], "world_size=0 must be 1 or more"),
        (["--lapse", "0"], r"lapse=0\.0 is out of range"),
    ],
)
def test_what_cannot_be_filled_is_refused(typed, told, tiny, accepting):  # noqa: F811
    with pytest.raises(SystemExit, match=told):
        main(command("fill", *typed))


@pytest.mark.slow
def test_two_that_start_at_once_train_the_generator_once(tiny):  # noqa: F811
    script = (
        "import sys; from hf_augment.cli import main; import hf_augment.study.text as text;"
        "text.TextFilters.__call__ = lambda *_: []; main(sys.argv[1:])"
    )
    fillers = [
        subprocess.Popen(
            [sys.executable, "-c", script, *command("fill", "--arm", "trained")],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    told = [filler.communicate(timeout=280)[0] for filler in fillers]
    assert [filler.returncode for filler in fillers] == [0, 0], told
    assert "".join(told).count("train_runtime") == 1
    assert all("shards were made here" in one for one in told)


def remembering():
    """An arm whose filter has a memory, and has something to reject."""
    return Arm("said", TEXT.generator(), filters=[NearDuplicates(threshold=0.7)])


def test_what_is_made_before_the_runs_changes_nothing_but_who_made_it(make, tmp_path):  # noqa: F811
    training = {"synthetic_shard_size": 4, "max_steps": 6}
    lazy = make([remembering()], training, seeds=2)
    alone = [lazy.train(0, "said", seed) for seed in range(2)]
    shards = {path.name: path.read_bytes() for path in lazy.folder.rglob("said-shards/**/*.arrow")}
    assert len(shards) == 3
    lazy.folder.rename(tmp_path / "lazy")
    ahead = make([remembering()], training, seeds=2)
    make_shards(ahead, 0, "said")
    assert shards == {path.name: path.read_bytes() for path in ahead.folder.rglob("said-shards/**/*.arrow")}
    ahead.arms["said"].source.generator.generate = breaks
    runs = [ahead.train(0, "said", seed) for seed in range(2)]
    for one, other in zip(alone, runs, strict=True):
        assert one["correct"] == other["correct"]
        assert [log["loss"] for log in one["curve"]] == [log["loss"] for log in other["curve"]]


def test_the_first_run_pays_for_what_was_made_before(make):  # noqa: F811
    study = make([remembering()])
    result = {"seconds": 6.0, "wait": 0.5}
    assert with_made(study, 0, "said", 0, result) == result
    make_shards(study, 0, "said")
    marker = study.folder / "split-0/said-made/stage.json"
    stage = read_json(marker, "")
    assert stage["result"]["seconds"] > 0
    write_json(marker, stage | {"result": {"seconds": 2.0}})
    assert with_made(study, 0, "said", 0, result) == {"seconds": 8.0, "wait": 5.0 / 8.0}
    assert with_made(study, 0, "said", 1, result) == result


class OfEachSplit(Given):
    shared = False


def test_examples_are_made_ahead_once_a_generator_where_all_runs_show_all_of_them(make):  # noqa: F811
    generator = remembering().source.generator
    of_each_split, of_all = OfEachSplit(generator, "own"), Given(generator, "said")
    arms = [
        Arm("eda", augment="eda"),
        Arm("guarded", of_all, guarded=True),
        Arm("static", of_all, policies=()),
        Arm("plain", of_all, filters=[NearDuplicates()]),
        Arm("again", of_all),
        Arm("own", of_each_split),
        Arm("real", RealRows()),
        Arm("both", Mixture("both", [of_each_split, of_all])),
    ]
    training = {"max_steps": 20, "eval_strategy": "steps", "eval_steps": 1, "synthetic_feedback": 1}
    study = make(arms, training, splits=2, curve_rows=4)
    assert made_ahead(study) == [(0, "plain", None), (0, "own", None), (1, "own", None)]
    assert made_ahead(make([remembering()], {"synthetic_keep": "recent"})) == []


def test_all_shards_of_a_generator_are_made_by_one_job(make):  # noqa: F811
    source = Given(TEXT.generator(), "said")
    study = make([Arm("said_unfiltered", source), Arm("said", source, filters=[NearDuplicates()])])
    assert made_ahead(study) == [(0, "said_unfiltered", None)]
    worker_of(lambda: study)(0, "said_unfiltered", None)
    made = study.folder / "split-0"
    assert {path.name for path in made.glob("*-made")} == {"said_unfiltered-made", "said-made"}
    assert all(list((made / name).rglob("*.arrow")) for name in ("said_unfiltered-shards", "said-shards"))


def test_an_interruption_does_not_make_examples_cheaper(make, monkeypatch):  # noqa: F811
    study = make([remembering()], {"synthetic_shard_size": 4, "max_steps": 6})
    make_one = SynthesisPipeline.make
    calls = []

    def interrupted(self, index, *more):
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return make_one(self, index, *more)

    monkeypatch.setattr(SynthesisPipeline, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_shards(study, 0, "said")
    make_shards(study, 0, "said")
    assert calls == [0, 1, 2, 2]
    store = ShardStore.open(next((study.folder / "split-0/said-shards").iterdir()))
    seconds = read_json(study.folder / "split-0/said-made/stage.json", "")["result"]["seconds"]
    assert seconds == sum(store.account(shard).seconds for shard in range(3))
