"""Which labels are probably wrong: confident learning on out-of-sample probabilities of a model and of neighbours.

A model that saw a label agrees with it, right or wrong, and so do neighbours in its embedding. Each item is therefore
judged by a model that was fitted without it: ``FOLDS`` short fits, together about as long as one training. A cheap
head on the embedding of the model that saw all labels would cost next to nothing, but flags nothing on texts, because
that embedding has taken the wrong labels in (``scripts/bench_recheck.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import Model
from ml_backend.models.several import are_sets, class_counts, new_model
from ml_backend.records import Progress, no_progress

FOLDS = 3
NEIGHBOURS = 10

Targets = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def folds(targets: Targets, seed: int) -> NDArray[np.int64]:
    """A fold from 0 to ``FOLDS - 1`` for each item ``[N]``: random, and each class spread evenly.

    Of sets ``[N, C]`` each different set is.
    """
    if targets.ndim == 2:
        targets = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((np.random.default_rng(seed).random(len(targets)), targets))
    result = np.empty(len(targets), dtype=np.int64)
    result[order] = np.arange(len(targets)) % FOLDS
    return result


def has_enough(targets: Targets, classes: int) -> bool:
    """Whether labels can be left out: there are `FOLDS` of two classes, or of sets with and without one of them."""
    counts = class_counts(targets, classes)
    if are_sets(targets):
        return bool(((counts >= FOLDS) & (len(targets) - counts >= FOLDS)).any())
    return bool((counts >= FOLDS).sum() >= 2)


def out_of_sample(
    model: type[Model],
    labels: Sequence[str],
    items: Sequence[Any],
    targets: Targets,
    *,
    seed: int,
    hyperparameters: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Probabilities:
    """Class probabilities ``[N, C]`` of each item by a model and neighbours that know all items but its fold's.

    Targets that are sets ``[N, C]`` make models of sets.

    ``(p + v) / 2`` with ``p`` the model's probabilities and ``v`` the `votes` of the nearest in its embedding. The
    votes keep the classes' real shares, which a model that is trained for rare classes does not: ``p`` alone flags many
    right labels of the common class.

    Raises:
        ModelError: as ``Model.fit``.
    """
    fold = folds(targets, seed)
    result = np.zeros((len(targets), len(labels)))
    for number in range(FOLDS):
        known, asked = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        fitted = new_model(model, labels, multiple=are_sets(targets))
        fitted.fit([items[i] for i in known], targets[known], seed=seed, hyperparameters=hyperparameters)
        here, there = [items[i] for i in asked], [items[i] for i in known]
        own = fitted.probabilities(here).mean(axis=1, dtype=np.float64)
        result[asked] = (own + votes(fitted.embed(here), fitted.embed(there), targets[known], len(labels))) / 2
        progress(number + 1, FOLDS)
    return result


def votes(asked: NDArray[np.float32], known: NDArray[np.float32], targets: Targets, classes: int) -> Probabilities:
    """Share of each class among the ``NEIGHBOURS`` nearest (by cosine), smoothed by one uniform vote ``[N, C]``.

    Of sets each class has a share of its own, smoothed by one vote of one half.

    Args:
        asked: embeddings ``[N, D]``.
        known: embeddings ``[M, D]``.
        targets: classes of the known ``[M]``, or their sets ``[M, C]``.
        classes: ``C``.
    """
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS, len(known))
    nearest = NearestNeighbors(n_neighbors=count, metric="cosine").fit(known).kneighbors(asked, return_distance=False)
    if are_sets(targets):
        return np.asarray((targets[nearest].sum(axis=1) + 0.5) / (count + 1), dtype=np.float64)
    given = (targets[nearest][:, :, None] == np.arange(classes)).sum(axis=1)  # [N, K] -> [N, C]
    return np.asarray((given + 1 / classes) / (count + 1), dtype=np.float64)


def doubtful_sets(probabilities: Probabilities, targets: Targets) -> list[int]:
    """Positions of the sets that are probably wrong in a class or more, the least likely first.

    Each class by itself, as a question of yes and no (confident learning for multi-label data, as cleanlab has it;
    Thyagarajan et al. 2022, https://arxiv.org/abs/2211.13895). A class that fewer than ``FOLDS`` sets have, or lack, is
    not judged.

    Args:
        probabilities: out of sample ``[N, C]``.
        targets: given sets ``[N, C]``.
    """
    counts = targets.sum(axis=0)
    judged = np.flatnonzero((counts >= FOLDS) & (len(targets) - counts >= FOLDS))
    if not len(judged):
        return []
    from cleanlab.filter import find_label_issues

    doubted: dict[int, float] = {}
    for c in judged.tolist():
        rows = np.stack([1 - probabilities[:, c], probabilities[:, c]], axis=1)
        for position in np.flatnonzero(find_label_issues(targets[:, c], rows, filter_by="both", n_jobs=1)).tolist():
            own = float(rows[position, targets[position, c]])
            doubted[position] = min(own, doubted.get(position, 1.0))
    return sorted(doubted, key=lambda position: (doubted[position], position))


def doubtful(probabilities: Probabilities, targets: Targets) -> list[int]:
    """Positions of the labels that are probably wrong, the least likely label first.

    Confident learning (Northcutt, Jiang & Chuang 2021, https://arxiv.org/abs/1911.00068), as cleanlab has it: flagged
    where pruning by class and pruning by noise rate agree. Labels of a class that has fewer than ``FOLDS`` of them are
    not judged: a model that never saw the class doubts it always.

    Args:
        probabilities: out of sample ``[N, C]``.
        targets: given classes ``[N]``.
    """
    judged = np.flatnonzero(np.bincount(targets, minlength=probabilities.shape[1])[targets] >= FOLDS)
    classes, compact = np.unique(targets[judged], return_inverse=True)
    if len(classes) < 2:
        return []
    # Here, not at the top: it imports pandas and more, three seconds that only this feature should cost.
    from cleanlab.filter import find_label_issues

    seen = probabilities[np.ix_(judged, classes)]
    seen = seen / seen.sum(axis=1, keepdims=True)
    flagged = find_label_issues(compact, seen, filter_by="both", return_indices_ranked_by="self_confidence", n_jobs=1)
    return [int(position) for position in judged[np.asarray(flagged, dtype=np.int64)]]
