"""From a query context to the inputs that its strategy reads, and no more: arrays, each computed when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders.raw import raw_embeddings
from ml_backend.models.base import LabeledItems
from ml_backend.models.several import answers_of, equal_answers
from ml_backend.selection.context import QueryContext
from ml_backend.selection.ordering import inputs_of
from ml_backend.selection.scoring import Scores
from ml_backend.semi_supervised.graph import NEIGHBOURS, Neighbourhood, affinity, coordinates, nearest
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.semi_supervised.shares import nearest_counts, set_rates
from ml_backend.strategies.inputs import Array, StrategyInputs
from ml_backend.strategies.mixture import needs
from ml_backend.strategies.novelty import unit_features, word_features


def nothing_in(context: QueryContext) -> LabeledItems:
    """No labelled items, of the context's kind of answers."""
    return LabeledItems((), np.zeros((0, context.classes) if context.multiple else 0, np.int64))


def labelled_in(context: QueryContext) -> LabeledItems:
    """The context's labelled items."""
    return nothing_in(context) if context.labelled is None else context.labelled


def build_inputs(context: QueryContext, scores: Scores | None) -> StrategyInputs:
    """What the context's strategy reads of its items; ``scores`` hold the probabilities of just these.

    Raises:
        AcquisitionError: the model's probabilities are malformed.
    """
    wanted = needs(context.strategy)
    texts, learnt = context.shows_texts, context.unlabelled
    done = labelled_in(context) if "labelled" in wanted else nothing_in(context)
    known: dict[str, Any] = {"classes": context.classes, "doubts": context.doubts, "several": context.multiple}
    known["over_classes"] = context.settings.set_uncertainty
    if scores is not None:
        known["probabilities"] = scores.probabilities
    stands_in = "neighbourhood" in wanted and learnt is None
    if stands_in or "embeddings" in wanted or ("features" in wanted and not texts):
        known["embeddings"], known["labelled"] = _embedded(context, done.items)
    if stands_in:
        known["neighbourhood"] = _stand_in(context, known["embeddings"], known["labelled"], done.targets, scores)
    elif "neighbourhood" in wanted and learnt is not None:
        known["neighbourhood"] = neighbourhood(context, done, learnt, scores)
    if "features" in wanted and texts:
        known["features"], known["labelled_features"] = word_features(context.items), word_features(done.items)
    elif "features" in wanted:
        known["features"], known["labelled_features"] = unit_features(known["embeddings"], known["labelled"])
    if "validation" in wanted:
        known |= _judged(context)
    return inputs_of(context.task_ids, context.settings.seed, **known)


def _embedded(context: QueryContext, done: Sequence[Any]) -> tuple[Array, Array]:
    """The items and the labelled ones in the best embedding there is: the model's, one without labels, a raw one."""
    model, items = context.model, context.items
    if model is not None:
        return model.embed(items), model.embed(done)
    if context.unlabelled is not None:
        embedding = context.unlabelled.embedding.extended([*items, *done])
        return embedding.coordinates[embedding.places(items)], embedding.coordinates[embedding.places(done)]
    # In the order of the ids: the components' last digits depend on the order of the rows.
    by_id = np.argsort(context.task_ids, kind="stable")
    rows = raw_embeddings([*(items[i] for i in by_id), *done], seed=context.settings.seed)
    return rows[: len(items)][np.argsort(by_id, kind="stable")], rows[len(items) :]


def neighbourhood(
    context: QueryContext, done: LabeledItems, learnt: Unlabelled, scores: Scores | None
) -> Neighbourhood:
    """The open items and the labelled ones in the embedding's graph."""
    embedding = learnt.embedding.extended([*context.items, *done.items])
    return Neighbourhood(
        embedding.weights,
        lambda: embedding.coordinates,
        embedding.places(context.items),
        embedding.places(done.items),
        done.targets,
        learnt.prior,
        _mean_probabilities(scores),
        context.settings.set_uncertainty,
        embedding.rows,
    )


def _stand_in(
    context: QueryContext, embeddings: Array, done: Array, targets: NDArray[np.int64], scores: Scores | None
) -> Neighbourhood:
    """A graph of other embeddings, where none was learnt without labels; copies share a node."""
    rows = np.asarray(embeddings, dtype=np.float32)
    by_id = np.argsort(context.task_ids, kind="stable")  # sums depend on the order of the rows, in their last digits
    points = np.concatenate([rows[by_id], done.reshape(len(done), rows.shape[1]).astype(np.float32)])
    different, nodes = np.unique(points, axis=0, return_inverse=True)
    weights = affinity(nearest([different], different, NEIGHBOURS + 1))
    nodes = nodes.reshape(-1).astype(np.int64)
    equal: NDArray[np.float64] = np.full(context.classes, 1.0 / context.classes)
    open_nodes = nodes[: len(rows)][np.argsort(by_id, kind="stable")]
    labelled = nodes[len(rows) :]
    counts = nearest_counts(different, labelled) if context.multiple and len(labelled) else None
    prior = set_rates(targets, counts=counts) if context.multiple else equal
    return Neighbourhood(
        weights,
        partial(coordinates, weights),
        open_nodes,
        labelled,
        targets,
        prior,
        _mean_probabilities(scores),
        context.settings.set_uncertainty,
        different,
    )


def _mean_probabilities(scores: Scores | None) -> NDArray[np.float32] | None:
    """``[N, C]``; None where no model scored."""
    if scores is None or scores.probabilities is None:
        return None
    return np.asarray(scores.probabilities.mean(axis=1), dtype=np.float32)


def _judged(context: QueryContext) -> dict[str, Any]:
    """The evaluation items' embeddings, and which of them the model gets wrong."""
    model, validation = context.model, context.validation
    if model is None or validation is None:
        return {}
    answers = answers_of(model, model.probabilities(validation.items).mean(axis=1))
    return {"validation": model.embed(validation.items), "wrong": ~equal_answers(answers, validation.targets)}
