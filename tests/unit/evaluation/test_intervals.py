"""Intervals of F-score and AUC: each resample counted by weights is what sklearn gives for the drawn tasks."""

import numpy as np
import pytest

from ml_backend.evaluation.intervals import _auc, _f_scores, intervals
from ml_backend.evaluation.metrics import evaluate


def judged(n, classes, *, seed=0, ties=False):
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, n)
    raw = generator.random((n, classes)) + 0.4 * np.eye(classes)[targets]
    raw = np.round(raw, 1) + 0.1 if ties else raw
    return raw / raw.sum(axis=1, keepdims=True), targets


@pytest.mark.parametrize(("classes", "ties"), [(2, False), (2, True), (4, False), (4, True)])
def test_a_resample_is_judged_as_the_drawn_tasks_are(classes, ties):
    p, y = judged(40, classes, ties=ties)
    labels = [str(c) for c in range(classes)]
    positive = 1 if classes == 2 else None
    drawn = np.random.default_rng(1).integers(0, 40, (20, 40))
    weights = np.stack([np.bincount(row, minlength=40) for row in drawn]).astype(float)
    has, given = np.eye(classes)[y], np.eye(classes)[p.argmax(axis=1)]
    f, auc = _f_scores(has, given, positive, weights, micro=False), _auc(p, has, weights)
    for number, row in enumerate(drawn):
        wanted = evaluate(p[row], y[row], labels, positive="1" if classes == 2 else None)
        assert f["f_macro"][number] == pytest.approx(wanted.f_macro)
        assert auc[number] == pytest.approx(wanted.auc)
        if positive is not None:
            assert f["f_positive"][number] == pytest.approx(wanted.f_positive)


def test_an_interval_holds_the_measure_and_narrows_with_tasks():
    widths = []
    for n in (40, 1_000):
        p, y = judged(n, 3)
        whole, found = evaluate(p, y, ["a", "b", "c"]), intervals(p, y, None)
        assert set(found) == {"f_macro", "auc"}
        for name, (low, high) in found.items():
            assert 0 <= low < getattr(whole, name) < high <= 1
        widths.append(found["f_macro"][1] - found["f_macro"][0])
    assert widths[1] < widths[0] / 3
    assert intervals(p, y, None) == found, "the seed fixes the draws"


def test_where_nothing_is_wrong_there_is_no_interval():
    y = np.array([0, 1] * 20)
    assert intervals(np.eye(2)[y] * 0.8 + 0.1, y, 1) == {}


def test_one_class_alone_has_no_auc():
    p = np.tile([0.6, 0.4], (10, 1))
    p[:3] = [0.4, 0.6]
    assert set(intervals(p, np.zeros(10, dtype=int), 0)) == {"f_macro", "f_positive"}


def test_it_covers_the_truth_about_as_often_as_it_says():
    big_p, big_y = judged(20_000, 2, seed=3)
    truth, hits = evaluate(big_p, big_y, ["a", "b"]).auc, 0
    for trial in range(100):
        some = np.random.default_rng(trial).integers(0, len(big_y), 100)
        low, high = intervals(big_p[some], big_y[some], 1, resamples=200)["auc"]
        hits += low <= truth <= high
    assert 88 <= hits <= 99
