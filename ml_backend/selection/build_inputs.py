"""From a situation to the evidence that its strategy reads, and no more: arrays, each computed when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders.raw import raw_embeddings
from ml_backend.models.base import Known
from ml_backend.selection.context import Situation
from ml_backend.selection.ordering import evidence_of
from ml_backend.selection.scoring import Scores
from ml_backend.semi_supervised.graph import NEIGHBOURS, Neighbourhood, affinity, coordinates, nearest
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.strategies.inputs import Array, Evidence
from ml_backend.strategies.mixture import needs
from ml_backend.strategies.novelty import unit_features, word_features

NOTHING: Final = Known((), np.zeros(0, np.int64))


def gather(situation: Situation, scores: Scores | None) -> Evidence:
    """What the situation's strategy reads of its items; ``scores`` hold the probabilities of just these.

    Raises:
        AcquisitionError: the model's probabilities are malformed.
    """
    wanted = needs(situation.strategy)
    texts, learnt = situation.shows_texts, situation.unlabelled
    done = situation.labelled if situation.labelled is not None and "labelled" in wanted else NOTHING
    known: dict[str, Any] = {"classes": situation.classes}
    if scores is not None:
        known["probabilities"] = scores.probabilities
    stands_in = "neighbourhood" in wanted and learnt is None
    if stands_in or "embeddings" in wanted or ("features" in wanted and not texts):
        known["embeddings"], known["labelled"] = _embedded(situation, done.items)
    if stands_in:
        known["neighbourhood"] = _stand_in(situation, known["embeddings"], known["labelled"], done.targets, scores)
    elif "neighbourhood" in wanted and learnt is not None:
        known["neighbourhood"] = neighbourhood(situation.items, done, learnt, scores)
    if "features" in wanted and texts:
        known["features"], known["labelled_features"] = word_features(situation.items), word_features(done.items)
    elif "features" in wanted:
        known["features"], known["labelled_features"] = unit_features(known["embeddings"], known["labelled"])
    if "validation" in wanted:
        known |= _judged(situation)
    return evidence_of(situation.task_ids, situation.settings.seed, **known)


def _embedded(situation: Situation, done: Sequence[Any]) -> tuple[Array, Array]:
    """The items and the labelled ones in the best embedding there is: the model's, one without labels, a raw one."""
    model, items = situation.model, situation.items
    if model is not None:
        return model.embed(items), model.embed(done)
    if situation.unlabelled is not None:
        embedding = situation.unlabelled.embedding.extended([*items, *done])
        return embedding.coordinates[embedding.places(items)], embedding.coordinates[embedding.places(done)]
    # In the order of the ids: the components' last digits depend on the order of the rows.
    by_id = np.argsort(situation.task_ids, kind="stable")
    rows = raw_embeddings([*(items[i] for i in by_id), *done], seed=situation.settings.seed)
    return rows[: len(items)][np.argsort(by_id, kind="stable")], rows[len(items) :]


def neighbourhood(items: Sequence[Any], done: Known, learnt: Unlabelled, scores: Scores | None) -> Neighbourhood:
    """The items and the labelled ones in the embedding's graph."""
    embedding = learnt.embedding.extended([*items, *done.items])
    return Neighbourhood(
        embedding.weights,
        embedding.coordinates,
        embedding.places(items),
        embedding.places(done.items),
        done.targets,
        learnt.prior,
        _mean_probabilities(scores),
    )


def _stand_in(
    situation: Situation, embeddings: Array, done: Array, targets: NDArray[np.int64], scores: Scores | None
) -> Neighbourhood:
    """A graph of other embeddings, where none was learnt without labels; copies share a node."""
    rows = np.asarray(embeddings, dtype=np.float32)
    by_id = np.argsort(situation.task_ids, kind="stable")  # sums depend on the order of the rows, in their last digits
    points = np.concatenate([rows[by_id], done.reshape(len(done), rows.shape[1]).astype(np.float32)])
    different, nodes = np.unique(points, axis=0, return_inverse=True)
    weights = affinity(nearest([different], different, NEIGHBOURS + 1))
    nodes = nodes.reshape(-1).astype(np.int64)
    prior = np.full(situation.classes, 1.0 / situation.classes)
    open_nodes = nodes[: len(rows)][np.argsort(by_id, kind="stable")]
    labelled = nodes[len(rows) :]
    return Neighbourhood(
        weights, coordinates(weights), open_nodes, labelled, targets, prior, _mean_probabilities(scores)
    )


def _mean_probabilities(scores: Scores | None) -> NDArray[np.float32] | None:
    """``[N, C]``; None where no model scored."""
    if scores is None or scores.probabilities is None:
        return None
    return np.asarray(scores.probabilities.mean(axis=1), dtype=np.float32)


def _judged(situation: Situation) -> dict[str, Any]:
    """The evaluation items' embeddings, and which of them the model gets wrong."""
    model, validation = situation.model, situation.validation
    if model is None or validation is None:
        return {}
    answers = model.probabilities(validation.items).mean(axis=1).argmax(axis=1)
    return {"validation": model.embed(validation.items), "wrong": np.asarray(answers != validation.targets)}
