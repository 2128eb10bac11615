"""Simulations: what a run does, that it resumes as if nothing had happened, and what it leaves on disk."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from support.simulations import DESIGN, SIZES, TWO, call, untimed
from support.strokes import strokes

from ml_backend.errors import DataError
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.selection.control_arm import control_places
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design, LabelledData
from ml_backend.simulation.files import ResultFolder, read_rounds
from ml_backend.simulation.oracle import Oracle
from ml_backend.simulation.simulate import simulate
from ml_backend.simulation.workers import Run, run_parallel

# --- one run -----------------------------------------------------------------------------------------------------


def test_a_run_labels_batch_after_batch_until_the_budget(topics):
    rounds = list(simulate(topics, DESIGN, "entropy", 0))
    assert [(entry.round, entry.labels, len(entry.picked)) for entry in rounds] == [(0, 6, 4), (1, 10, 4), (2, 14, 0)]
    oracle = Oracle(topics, DESIGN, 0)
    asked = [position for entry in rounds for position in entry.picked]
    assert len(set(asked)) == 8
    assert not set(asked) & {*oracle.first.tolist(), *oracle.held_out.tolist()}
    assert all(0 <= entry.measures["accuracy"] <= 1 for entry in rounds)


def test_a_last_batch_is_cut_to_the_budget(topics):
    rounds = list(simulate(topics, replace(DESIGN, budget=13), "random", 0))
    assert [entry.labels for entry in rounds] == [6, 10, 13]


def test_strategies_share_the_split_of_a_seed_and_seeds_do_not(topics):
    first = {name: next(simulate(topics, DESIGN, name, 0)).measures for name in ("random", "entropy")}
    assert first["random"] == first["entropy"]
    assert set(Oracle(topics, DESIGN, 0).held_out) != set(Oracle(topics, DESIGN, 1).held_out)


def test_evaluation_items_are_neither_judged_by_nor_asked(topics):
    design = replace(DESIGN, evaluation=10)
    oracle = Oracle(topics, design, 0)
    assert len(oracle.evaluation) == 10
    assert not {*oracle.evaluation.tolist()} & {*oracle.held_out.tolist(), *oracle.open.tolist()}
    assert oracle.held_out.tolist() == Oracle(topics, DESIGN, 0).held_out.tolist()
    asked = {position for entry in simulate(topics, design, "entropy", 0) for position in entry.picked}
    assert not asked & {*oracle.evaluation.tolist()}
    with pytest.raises(DataError, match="do not fit"):
        replace(design, evaluation=len(topics.items)).check(len(topics.items))


def test_a_run_is_reproducible_and_its_strategy_matters(topics):
    entropy = untimed(simulate(topics, DESIGN, "entropy", 0))
    assert entropy == untimed(simulate(topics, DESIGN, "entropy", 0))
    random = untimed(simulate(topics, DESIGN, "random", 0))
    assert [r.picked for r in entropy] != [r.picked for r in random]


@pytest.mark.parametrize("finished", [1, 2, 3])
def test_a_run_goes_on_as_if_never_interrupted(topics, finished):
    whole = untimed(simulate(topics, DESIGN, "dropout_entropy", 0))
    rest = untimed(simulate(topics, DESIGN, "dropout_entropy", 0, done=whole[:finished]))
    assert [*whole[: min(finished, 2)], *rest] == whole  # the last round picked nothing: it is done again


GOING_ON = Design(10, 6, 4, 18, hyperparameters={"steps": 4, "warm_starts": 2})


@pytest.fixture(scope="module")
def bars():
    return LabelledData("bars", MnistCnn, ("across", "upright"), strokes(250), np.arange(250) % 2)


@pytest.fixture(scope="module")
def gone_on(bars):
    """Rounds whose versions go on from each other, twice in a row."""
    return untimed(simulate(bars, GOING_ON, "entropy", 0))


@pytest.mark.parametrize("finished", [2, 3])
def test_a_run_whose_versions_go_on_from_each_other_does_too(bars, gone_on, finished):
    assert [entry.in_a_row for entry in gone_on] == [0, 1, 2, 0]
    rest = untimed(simulate(bars, GOING_ON, "entropy", 0, done=gone_on[:finished]))
    assert [*gone_on[:finished], *rest] == gone_on


def test_without_warm_starts_no_version_goes_on_from_another(bars):
    anew = replace(GOING_ON, hyperparameters={"steps": 4, "warm_starts": 0})
    assert [entry.in_a_row for entry in simulate(bars, anew, "entropy", 0)] == [0] * 4


def test_a_larger_budget_goes_on_where_the_smaller_ended(topics):
    whole = untimed(simulate(topics, replace(DESIGN, budget=18), "entropy", 0))
    first = untimed(simulate(topics, DESIGN, "entropy", 0))
    rest = untimed(simulate(topics, replace(DESIGN, budget=18), "entropy", 0, done=first))
    assert [*first[:2], *rest] == whole


def test_a_cold_start_needs_no_first_labels(topics):
    rounds = list(simulate(topics, replace(DESIGN, cold=True), "entropy", 0))
    assert [entry.labels for entry in rounds] == [6, 10, 14]


def test_answers_move_what_comes_next_in_a_batch_but_not_its_control_tasks():
    kinds = np.arange(80) % 2
    topics = LabelledData("bars", MnistCnn, ("across", "upright"), strokes(80), kinds)
    design = Design(20, 6, 12, 30, control_share=0.25, hyperparameters={"steps": 5})
    batches = [next(simulate(topics, replace(design, instant=on), "auto", 0)).picked for on in (False, True)]
    assert batches[0] != batches[1]
    assert batches[0][0] == batches[1][0], "nothing was answered before it"
    same = [place for place in range(12) if batches[0][place] == batches[1][place]]
    turn = len(kinds) - 20 - 6
    assert set(control_places(12, 0.25, 0, turn).tolist()) <= set(same)
    rounds = list(simulate(topics, replace(design, instant=True), "auto", 0))
    assert [entry.labels for entry in rounds] == [6, 18, 30]


def test_a_share_of_each_batch_can_be_the_control_arm(topics):
    half = replace(DESIGN, control_share=0.5)
    first = [set(next(simulate(topics, half, name, 0)).picked) for name in ("entropy", "random")]
    assert len(first[0] & first[1]) >= 2


def test_labels_of_one_class_are_followed_by_random_ones(topics):
    common = np.zeros(60, dtype=np.int64)
    order = np.random.default_rng(0).permutation(60)
    common[order[[3, 26, 27]]] = 1  # none among the first six labels of seed 0
    rounds = list(simulate(replace(topics, targets=common), replace(DESIGN, budget=30), "entropy", 0))
    assert rounds[0].labels > 6
    rest = simulate(replace(topics, targets=common), replace(DESIGN, budget=30), "entropy", 0, done=rounds[:1])
    assert untimed([rounds[0], *rest]) == untimed(rounds)
    with pytest.raises(DataError, match="all of one class"):
        list(simulate(replace(topics, targets=np.zeros(60, dtype=np.int64)), DESIGN, "entropy", 0))


def test_images_too():
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    noise[::2, :14] = 0
    digits = LabelledData("noise", MnistCnn, ("a", "b"), list(noise), np.arange(40) % 2)
    rounds = list(simulate(digits, Design(10, 8, 4, 16, hyperparameters={"steps": 3}), "bald", 0))
    assert [entry.labels for entry in rounds] == [8, 12, 16]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "batch must be at least 1"),
        ({"initial": 20}, "more than the budget"),
        ({"budget": 50}, "do not fit into 60"),
    ],
)
def test_a_design_that_cannot_be_is_refused(topics, changes, message):
    with pytest.raises(DataError, match=message):
        next(simulate(topics, replace(DESIGN, **changes), "entropy", 0))


def test_an_unknown_strategy_is_refused_before_anything_is_trained(topics):
    with pytest.raises(Exception, match="nonsense"):
        next(simulate(topics, DESIGN, "nonsense", 0))


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_leaves_tables_and_plots_and_does_nothing_twice(csv_file, tmp_path):
    args = (csv_file, *TWO, *SIZES, "--jobs", 1, "--out", tmp_path, "--target", 0.4, "--target", 1.01)
    first = call(*args)
    assert first.exit_code == 0, first.output
    folder = tmp_path / "topics"
    with (folder / "rounds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["strategy"], r["seed"], r["labels"]) for r in rows] == [
        (name, seed, labels) for name in ("entropy", "random") for seed in "01" for labels in ("6", "10", "14")
    ]
    with (folder / "summary.csv").open(encoding="utf-8") as file:
        summary = {row["strategy"]: row for row in csv.DictReader(file)}
    assert summary["random"]["against random (95 %)"] == ""
    assert re.fullmatch(r"[+-]0\.\d+ \([+-]0\.\d+ to [+-]0\.\d+\)", summary["entropy"]["against random (95 %)"])
    assert summary["entropy"]["holds 1.01"] == "—"
    assert "mean accuracy" in first.stdout
    assert (folder / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "learning_curves.html").read_text(encoding="utf-8")
    assert "<script src=" not in page  # plotly.js is inside
    assert "entropy (2)" in page
    # No terminal, no bar: a line a round.
    lines = [line for line in first.stderr.splitlines() if "(round " in line]
    assert len(lines) == 12
    assert re.fullmatch(
        r"topics: (random|entropy) [01], \d+ labels, accuracy [01]\.\d{3} \(round 12 of 12\)", lines[-1]
    )
    before = (folder / "rounds.jsonl").read_bytes()
    second = call(*args)
    assert second.exit_code == 0, second.output
    assert "4 of 4 runs are done already" in second.stderr
    assert (folder / "rounds.jsonl").read_bytes() == before


def test_a_worker_that_dies_is_told(tmp_path):
    with pytest.raises(DataError, match=r"worker of random, seed 3, stopped \(exit code 1"):
        run_parallel(Source("own", tmp_path / "gone.csv"), DESIGN, [Run("random", 3)], print, jobs=2)


def test_the_results_of_other_settings_are_not_mixed(csv_file, tmp_path):
    args = (csv_file, "-s", "random", *SIZES, "--seeds", 1, "--jobs", 1, "--out", tmp_path)
    assert call(*args).exit_code == 0
    other = call(*args, "--batch", 2)
    assert other.exit_code == 1
    assert "with batch = 4, not 2" in other.output
    assert "with budget = 14, not 10" in call(*args, "--budget", 10).output
    more = call(*args, "--budget", 16)
    assert more.exit_code == 0, more.output
    assert [r.labels for r in read_rounds(tmp_path / "topics")["random", 0]] == [6, 10, 14, 16]


def test_two_simulations_cannot_write_to_one_folder(tmp_path):
    with ResultFolder(tmp_path, {"batch": 1}), pytest.raises(DataError, match="Another simulation"):
        ResultFolder(tmp_path, {"batch": 1}).__enter__()


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "rounds.jsonl").write_text('{"strategy": "random"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"rounds.jsonl, line 1: no round"):
        read_rounds(tmp_path)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Name either"),
        (("x.csv", "--preset", "mnist"), "Name either"),
        (("missing.csv",), "does not exist"),
        (("--preset", "mnist", "--data", "nowhere"), "No MNIST files"),
        (("--preset", "headlines", "--data", "nowhere"), "No AG News"),
        (("CSV", "-s", "nonsense"), "nonsense"),
        (("CSV", "--set", "steps"), "give name=value with one of: encoder, steps"),
        (("CSV", "--set", "colour=3"), "give name=value with one of: encoder, steps"),
        (("CSV", "--budget", "100"), "do not fit into 60"),
        (("CSV", "--label-column", "topic"), 'no column "topic"'),
        (("CSV", "--report-only"), "holds no rounds yet"),
    ],
)
def test_bad_input_is_told_in_one_line(csv_file, tmp_path, args, message):
    budget = () if "--budget" in args else ("--budget", 40)
    shown = call(*(csv_file if arg == "CSV" else arg for arg in args), *budget, "--out", tmp_path)
    assert shown.exit_code == 1, shown.output
    assert "Error: " in shown.stderr
    assert message in shown.stderr
    assert "Traceback" not in shown.stderr


def test_one_class_is_not_enough(tmp_path):
    (tmp_path / "one.csv").write_text("text,label\nflood,wet\nrain,wet\ndust,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"1 different labels; 2 to 1,000 are needed; 1 items have no label"):
        Source("own", tmp_path / "one.csv", "label").load()


def test_a_folder_of_images_is_data_too(tmp_path):
    from PIL import Image

    for label in ("dark", "light"):
        (tmp_path / label).mkdir()
        for number in range(3):
            pixels = np.full((28, 28), number + 200 * (label == "light"), np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    loaded = Source("own", tmp_path).load()
    assert (loaded.model, loaded.labels, loaded.targets.tolist()) == (MnistCnn, ("dark", "light"), [0, 0, 0, 1, 1, 1])
