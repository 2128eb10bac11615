"""A user's own table with several labels a row in a simulation: the form that an import takes."""

import csv
import json
from dataclasses import replace

import numpy as np

from ml_backend.label_sets import unpack
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design
from ml_backend.simulation.simulate import simulate

WORDS = {"wet": "flood in the river", "dry": "no rain for months", "late": "after midnight"}
SETS = [["wet"], ["dry", "late"], [], ["wet", "late"]]


def table(path, labels):
    rows = [(f"{', '.join(WORDS[each] for each in given) or 'nothing'}, {n}", given) for n, given in enumerate(labels)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((text, json.dumps(given)) for text, given in rows)])
    return Source("own", path, "label", text_model="headlines")


def test_rows_with_several_labels_are_sets(tmp_path):
    source = table(tmp_path / "own.csv", SETS * 12)
    data = source.load()
    assert data.multiple
    assert data.labels == ("dry", "late", "wet")
    assert [set(unpack(data.answer(place))) for place in range(4)] == [set(given) for given in SETS]
    design = Design(12, 12, 6, 24, hyperparameters={"steps": 60})
    rounds = list(simulate(data, design, "entropy", 0))
    assert [entry.labels for entry in rounds] == [12, 18, 24]
    assert rounds[-1].measures["f_macro"] > 0.8


def test_each_answer_moves_what_comes_next_in_a_batch(tmp_path):
    data = table(tmp_path / "own.csv", SETS * 12).load()
    design = Design(12, 12, 24, 36, hyperparameters={"steps": 60})  # one round asks for all, in the queue's order
    plain, moved = (next(simulate(data, replace(design, instant=on), "auto", 0)).picked for on in (False, True))
    assert (set(moved), moved[0]) == (set(plain), plain[0])
    assert moved != plain


def test_lists_of_one_label_each_are_one_choice(tmp_path):
    data = table(tmp_path / "own.csv", [["wet"], ["dry"]] * 4).load()
    assert not data.multiple
    np.testing.assert_array_equal(data.targets, [1, 0] * 4)
