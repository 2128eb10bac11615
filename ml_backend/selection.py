"""Which items next, in which order, and what put each one there. The loop and the simulation both ask here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.control import CONTROL, PINNED, control_order, control_places
from ml_backend.embeddings import PoolEmbedding
from ml_backend.evidence import Evidence, Need, check_needs
from ml_backend.graph import NEIGHBOURS, Neighbourhood, affinity, coordinates, nearest
from ml_backend.mixture import itemwise, needs
from ml_backend.models.base import Known, Model, Progress, no_progress
from ml_backend.novelty import unit_features, word_features
from ml_backend.ranking import STAND_IN, Choice, Floats, Ids, choose, draws_for, evidence_of, rank
from ml_backend.raw_embeddings import raw_embeddings
from ml_backend.scoring import Scores, score_items

COLD_START: Final = "random"
"""Strategy before a first model, where the project's own needs one."""
WITHOUT_MODEL: Final = frozenset[Need](("embeddings", "labelled", "features", "neighbourhood"))
"""What can be had before a first model."""


@dataclass(frozen=True)
class Unlabelled:
    """What is known of the items before anybody labels one."""

    embedding: PoolEmbedding
    prior: NDArray[np.float64]
    """Expected share of each class ``[C]``."""
    drawn: frozenset[int] = frozenset()
    """Labelled tasks that chance chose: what is measured on them holds for the pool."""


@dataclass(frozen=True)
class Selection:
    """The next ``B`` of ``N`` items, first asked first."""

    order: NDArray[np.int64]
    """Positions among the items ``[B]``."""
    picked_by: tuple[str, ...]
    """The strategy (in a mixture the part) that chose each, ``control`` or ``pinned`` ``[B]``."""
    informativeness: Floats
    """Normalised, in [0, 1] ``[B]``; a control task has that of the pick before it, to keep its place."""
    scores: Scores | None
    """Of all ``N`` items; None without a model."""


def select(
    model: Model | None,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    *,
    count: int,
    turn: int = 0,
    classes: int = 2,
    labelled: Known | None = None,
    validation: Known | None = None,
    unlabelled: Unlabelled | None = None,
    progress: Progress = no_progress,
) -> Selection:
    """Choose what to ask next.

    Args:
        model: scores the items. Without one, strategies that need none go by `raw_embeddings`; any other waits, and
            the order is random.
        items: ``[N]``, as the model reads them.
        task_ids: ``[N]``; draws and ties depend on them and the seed, never on positions.
        settings: strategy, samples, seed, control share, balance.
        count: how many to choose; all where there are fewer.
        turn: a number that changes with the labels, such as that of the open items: it moves the control tasks' places.
        classes: how many, where there is no model to tell.
        labelled: the labelled items, for strategies and settings that `wants` them.
        validation: the evaluation items, likewise.
        unlabelled: their embedding, learnt without labels; else `raw_embeddings` or the model's stand in.
        progress: called while items are scored.

    Raises:
        AcquisitionError: the strategy needs what cannot be had (nothing was computed then), or the model's
            probabilities are malformed.
    """
    scores = assess(model, items, task_ids, settings, labelled=labelled, validation=validation, progress=progress)
    return arrange(
        scores,
        model,
        items,
        task_ids,
        settings,
        count=count,
        turn=turn,
        classes=classes,
        labelled=labelled,
        validation=validation,
        unlabelled=unlabelled,
    )


def assess(
    model: Model | None,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    *,
    labelled: Known | None = None,
    validation: Known | None = None,
    progress: Progress = no_progress,
) -> Scores | None:
    """The first half of `select`: what the model says about the items; None without one."""
    strategy = strategy_in_use(settings, trained=model is not None)
    check_needs(strategy, needs(strategy), _available(model, items, labelled, validation))
    if model is None:
        return None
    return score_items(model, items, task_ids, settings, keep=not _is_direct(strategy, settings), progress=progress)


def arrange(
    scores: Scores | None,
    model: Model | None,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    *,
    count: int,
    turn: int = 0,
    classes: int = 2,
    labelled: Known | None = None,
    validation: Known | None = None,
    unlabelled: Unlabelled | None = None,
    front: NDArray[np.int64] | None = None,
) -> Selection:
    """The second half of `select`: which items, in which order.

    Positions in ``front`` are those that people want first, in this order. What follows them is chosen from the other
    items, with its full share of control tasks.
    """
    strategy = strategy_in_use(settings, trained=model is not None)
    first = (np.zeros(0, np.int64) if front is None else front)[:count]
    length = min(count, len(items)) - len(first)
    places = control_places(length, settings.control_share, settings.seed, turn)
    free = np.setdiff1d(np.arange(len(items)), first)
    control = free[control_order(task_ids[free], settings.seed, len(places))]
    others = np.setdiff1d(free, control)
    wanted = length - len(control)
    if _is_direct(strategy, settings) and (scores is not None or strategy == COLD_START):
        values = draws_for(task_ids, settings.seed) if scores is None else scores.uncertainty
        chosen = others[rank(values[others], task_ids[others], seed=settings.seed, count=wanted)]
        picks = Choice(chosen, (strategy,) * len(chosen), values[chosen])
    else:
        # Of a pool too large for memory, only what is in the shortlist can be compared as a whole.
        among = np.arange(len(items)) if scores is None or scores.kept is None else scores.kept
        evidence = _evidence(
            strategy,
            model,
            items if len(among) == len(items) else [items[int(i)] for i in among],
            task_ids[among],
            settings,
            classes,
            scores,
            labelled,
            validation,
            unlabelled,
        )
        so_far = None
        if settings.balance and labelled is not None:
            so_far = dict(enumerate(np.bincount(labelled.targets, minlength=classes).tolist()))
        listed = np.intersect1d(others, among)
        picks = choose(strategy, evidence.take(np.searchsorted(among, listed)), wanted, labels_so_far=so_far)
        picks = Choice(listed[picks.order], picks.picked_by, picks.informativeness)
        if scores is not None and len(picks.order) < wanted:
            picks = _filled(picks, np.setdiff1d(others, listed), scores, task_ids, settings.seed, wanted)
    return _led_by(first, _interleave(picks, control, places, scores))


def _filled(picks: Choice, others: NDArray[np.int64], scores: Scores, task_ids: Ids, seed: int, wanted: int) -> Choice:
    """Picks made up to ``wanted`` with the most uncertain others."""
    more = others[rank(scores.uncertainty[others], task_ids[others], seed=seed, count=wanted - len(picks.order))]
    return Choice(
        np.concatenate([picks.order, more]),
        (*picks.picked_by, *[STAND_IN] * len(more)),
        np.concatenate([picks.informativeness, np.zeros(len(more))]),
    )


def _is_direct(strategy: str, settings: ProjectSettings) -> bool:
    """Whether the order is that of the items' own scores."""
    return itemwise(strategy) and not settings.balance


def strategy_in_use(settings: ProjectSettings, *, trained: bool) -> str:
    """The project's strategy, or what stands in for it before a first model."""
    return settings.strategy if trained or needs(settings.strategy) <= WITHOUT_MODEL else COLD_START


def wants(settings: ProjectSettings, *, trained: bool) -> frozenset[Need]:
    """What ``select`` has to be given beside the open items: ``labelled``, ``validation``."""
    wanted = needs(strategy_in_use(settings, trained=trained)) & frozenset[Need](("labelled", "validation"))
    return wanted | frozenset[Need](("labelled",)) if settings.balance and trained else wanted


def first_candidates(task_ids: Ids, settings: ProjectSettings, *, trained: bool, count: int) -> NDArray[np.int64]:
    """Positions that ``select`` can choose ``count`` from, so that a random order need not read the whole pool.

    Twice as many as asked for, because some may turn out to be unreadable.
    """
    if needs(strategy_in_use(settings, trained=trained)):
        return np.arange(len(task_ids))
    chosen = rank(draws_for(task_ids, settings.seed), task_ids, seed=settings.seed, count=2 * count)
    control = control_order(task_ids, settings.seed, int(2 * count * settings.control_share) + 2)
    return np.union1d(chosen, control)


def _available(
    model: Model | None, items: Sequence[Any], labelled: Known | None, validation: Known | None
) -> frozenset[Need]:
    able = hasattr(model, "embed") if model is not None else True
    found: dict[Need, bool] = {
        "probabilities": model is not None,
        "samples": model is not None and model.stochastic,
        "embeddings": able,
        "labelled": labelled is not None,
        "validation": validation is not None and len(validation.items) > 0,
        "features": able or _are_texts(items),
        "neighbourhood": able,
    }
    return frozenset(need for need, there in found.items() if there)


def _are_texts(items: Sequence[Any]) -> bool:
    return len(items) > 0 and isinstance(items[0], str)


def _evidence(
    strategy: str,
    model: Model | None,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    classes: int,
    scores: Scores | None,
    labelled: Known | None,
    validation: Known | None,
    unlabelled: Unlabelled | None,
) -> Evidence:
    """All that the strategy reads, and no more."""
    wanted = needs(strategy)
    known: dict[str, Any] = {"classes": classes}
    if scores is not None:
        known["probabilities"] = scores.probabilities
    texts = _are_texts(items)
    done = labelled.items if labelled is not None and "labelled" in wanted else ()
    if "neighbourhood" in wanted and unlabelled is not None:
        known["neighbourhood"] = _neighbourhood(unlabelled, items, labelled, scores)
    stands_in = "neighbourhood" in wanted and unlabelled is None
    if stands_in or "embeddings" in wanted or ("features" in wanted and not texts):
        if model is None and unlabelled is not None:
            embedding = unlabelled.embedding.extended([*items, *done])
            known["embeddings"] = embedding.coordinates[embedding.places(items)]
            known["labelled"] = embedding.coordinates[embedding.places(done)]
        elif model is None:
            # In the order of the ids: the components' last digits depend on the order of the rows.
            by_id = np.argsort(task_ids, kind="stable")
            rows = raw_embeddings([*(items[i] for i in by_id), *done], seed=settings.seed)
            known["embeddings"] = rows[: len(items)][np.argsort(by_id, kind="stable")]
            known["labelled"] = rows[len(items) :]
        else:
            known["embeddings"], known["labelled"] = model.embed(items), model.embed(done)
    if stands_in:
        targets = labelled.targets if labelled is not None else np.zeros(0, np.int64)
        rows = np.asarray(known["embeddings"], dtype=np.float32)
        known["neighbourhood"] = _stand_in(rows, known["labelled"], task_ids, targets, classes, scores)
    if "features" in wanted:
        if texts:
            known["features"], known["labelled_features"] = word_features(items), word_features(done)
        else:
            known["features"], known["labelled_features"] = unit_features(known["embeddings"], known["labelled"])
    if model is not None and validation is not None and "validation" in wanted:
        known["validation"] = model.embed(validation.items)
        answers = model.probabilities(validation.items).mean(axis=1).argmax(axis=1)
        known["wrong"] = np.asarray(answers != validation.targets)
    return evidence_of(task_ids, settings.seed, **known)


def _neighbourhood(
    unlabelled: Unlabelled, items: Sequence[Any], labelled: Known | None, scores: Scores | None
) -> Neighbourhood:
    """The items and the labelled ones in the embedding's graph."""
    done = labelled.items if labelled is not None else ()
    targets = labelled.targets if labelled is not None else np.zeros(0, np.int64)
    embedding = unlabelled.embedding.extended([*items, *done])
    return Neighbourhood(
        embedding.weights,
        embedding.coordinates,
        embedding.places(items),
        embedding.places(done),
        targets,
        unlabelled.prior,
        _mean_probabilities(scores),
    )


def _stand_in(
    rows: NDArray[np.float32],
    done: NDArray[np.floating],
    task_ids: Ids,
    targets: NDArray[np.int64],
    classes: int,
    scores: Scores | None,
) -> Neighbourhood:
    """A graph of other embeddings, where none was learnt without labels; copies share a node."""
    by_id = np.argsort(task_ids, kind="stable")  # sums depend on the order of the rows, in their last digits
    points = np.concatenate([rows[by_id], done.reshape(len(done), rows.shape[1]).astype(np.float32)])
    different, nodes = np.unique(points, axis=0, return_inverse=True)
    weights = affinity(nearest([different], different, NEIGHBOURS + 1))
    nodes = nodes.reshape(-1).astype(np.int64)
    prior = np.full(classes, 1.0 / classes)
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


def _interleave(
    picks: Choice, control: NDArray[np.int64], places: NDArray[np.int64], scores: Scores | None
) -> Selection:
    chosen, informativeness = picks.order, picks.informativeness
    length = len(chosen) + len(control)
    is_control = np.zeros(length, dtype=np.bool_)
    is_control[places] = True
    order = np.empty(length, dtype=np.int64)
    order[is_control], order[~is_control] = control, chosen
    if len(chosen):
        before = np.maximum(np.cumsum(~is_control) - 1, 0)
        informativeness = informativeness[before]
    else:
        informativeness = np.ones(length)
    own = iter(picks.picked_by)
    picked_by = tuple(CONTROL if flag else next(own) for flag in is_control)
    return Selection(order, picked_by, informativeness, scores)


def _led_by(first: NDArray[np.int64], rest: Selection) -> Selection:
    """A selection after the items that people want first."""
    return replace(
        rest,
        order=np.concatenate([first, rest.order]),
        picked_by=(PINNED,) * len(first) + rest.picked_by,
        informativeness=np.concatenate([np.ones(len(first)), rest.informativeness]),
    )
