"""A whole training that goes on from the version before: how short it is, and that it learns as well."""

import numpy as np
from support.strokes import strokes

from ml_backend.encoders.gradients import Gradients
from ml_backend.models.base import LabeledItems
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.earlier import Earlier
from ml_backend.semi_supervised.fitter import WARM_STEPS, Recipe
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled

LABELS = ("upright", "across")
COUNTS = np.array([2, 2], dtype=np.int64)


class Counted(MnistCnn):
    """Notes the steps of its trainings, and whether each went on from another."""

    seen: list[tuple[int, bool]]

    def fit(self, items, targets, **others):
        report = super().fit(items, targets, **others)
        self.seen.append((report.hyperparameters["steps"], others.get("start") is not None))
        return report


def test_going_on_needs_no_draft_and_fewer_steps():
    items, targets = strokes(300), np.arange(300) % 2
    pool = Unlabelled(PoolEmbedding.learn(Gradients, items[:240], seed=0), np.full(2, 0.5))
    Counted.seen = []

    def fitted(labels, before, evaluation=None):
        known = LabeledItems(items[:labels], targets[:labels])
        chosen = {"steps": WARM_STEPS + 40, "batch_size": 16}
        return fit_with_pool(
            Recipe(lambda: Counted(LABELS), seed=0, hyperparameters=chosen, evaluation=evaluation),
            known,
            items[:240],
            pool,
            earlier=before,
        )

    first = fitted(4, None)
    assert (first.in_a_row, first.reason.count("went on")) == (0, 0)
    assert Counted.seen == [(400, False), (WARM_STEPS + 40, False)]
    weights = first.model.state()[0]
    Counted.seen.clear()
    seen = LabeledItems(items[240:], targets[240:])
    second = fitted(6, Earlier(lambda: first.model, "pool", COUNTS, 240), seen)
    assert Counted.seen[0] == (WARM_STEPS, True)
    assert not any(going_on for _, going_on in Counted.seen[1:]), "those of the labels alone begin anew"
    assert second.in_a_row == 1
    assert "went on from the version before (1 in a row)" in second.reason
    assert second.training.validation.epochs[-1] == second.training.epochs
    assert (second.model.probabilities(items[240:])[:, 0].argmax(axis=1) == targets[240:]).mean() > 0.95
    after = first.model.state()[0]
    assert all((weights[name] == after[name]).all() for name in weights), "the version before is left as it was"
