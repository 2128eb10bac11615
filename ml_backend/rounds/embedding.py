"""A project's embedding: read from its store, learnt if it is missing, and extended to tasks that came since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import draws_for
from ml_backend.encoders.base import Encoder
from ml_backend.encoders.registry import choose_encoder
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.models.base import LabeledItems
from ml_backend.records import Task
from ml_backend.rounds.class_descriptions import names
from ml_backend.rounds.examples import answered_in_bulk
from ml_backend.rounds.item_reading import known_items
from ml_backend.rounds.project import RoundProject, read_tasks, targets_of
from ml_backend.rounds.random_baseline import random_sample
from ml_backend.rounds.report import Recorder
from ml_backend.semi_supervised.choice import FEWEST_OPEN
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled, made_of
from ml_backend.semi_supervised.shares import class_prior, rates_in_pool
from ml_backend.store.query_log import looked_up, record
from ml_backend.strategies.inputs import Need
from ml_backend.strategies.mixture import needs

FILE: Final = "embedding.safetensors"
GOES_BY_IT: Final = frozenset[Need](("neighbourhood", "embeddings"))
"""What strategies may need of it (embeddings only before a first model)."""
AT_ONCE: Final = 1000
"""Up to so many new tasks are embedded before there is an order; with more, the first order would take too long. An
encoder's own ``at_once`` takes precedence."""


def path_of(project: RoundProject) -> Path:
    """Where a project's embedding lies."""
    return project.store.folder / FILE


def first_part(project: RoundProject, most: int | None = None) -> RoundProject:
    """The project with only as many open tasks as can be embedded while people wait; unchanged if that is all.

    These are the tasks that are embedded already and a random sample of the others. An order of them is better than a
    random order of all, and stands until all are embedded.

    Args:
        project: as the round read it.
        most: how many new tasks at most; None: the encoder's own ``at_once``, or `AT_ONCE`.
    """
    encoder, _ = choose_encoder(project.settings.embedding, project.question.object_tag)
    if encoder is None or project.outside is not None or not _is_worth_it(project):
        return project  # a pool outside is embedded beforehand
    tasks = _all_tasks(project)
    at_once: int = getattr(encoder, "at_once", AT_ONCE) if most is None else most
    if len(tasks) <= at_once:
        return project
    kept = _kept(project, encoder)
    _take_known(tasks, project)
    embedded = {task for task, item in project.items.items() if kept is not None and kept.knows([item])}
    if sum(task.id not in embedded for task in tasks) <= at_once:
        return project
    new = np.array([task.id for task in project.pool.open if task.id not in embedded], dtype=np.int64)
    first = new[np.argsort(draws_for(new, project.settings.seed))[:at_once]]
    chosen = embedded | set(first.tolist())
    return replace(project, pool=replace(project.pool, open=[t for t in project.pool.open if t.id in chosen]))


def unlabelled(project: RoundProject, recorder: Recorder, *, dry_run: bool = False) -> Unlabelled | None:
    """The embedding of all training and open tasks, and the expected shares of the classes.

    Args:
        project: as the round read it.
        recorder: times the work, and takes a note if nothing can embed the tasks.
        dry_run: write nothing to the store.

    Raises:
        ConfigurationError: the settings name an embedding that does not fit, or shares of other labels.
        ModelError: its options are wrong.
    """
    settings = project.settings
    encoder, lacking = choose_encoder(settings.embedding, project.question.object_tag)
    if not settings.learn_from_pool:
        return None
    _check_shares(project)
    if encoder is None:
        recorder.report.learnt_from = f"labels alone ({lacking})"
        return None
    tasks = _all_tasks(project)
    if not tasks or not _is_worth_it(project):
        return None
    items = _read(tasks, project, recorder)
    if not items:
        return None
    kept = _kept(project, encoder)
    if kept is None or not kept.knows(items):
        with recorder.step("embed") as step:
            if kept is not None:
                kept = kept.extended(items)
            else:
                options, progress = settings.embedding_options, step.progress
                kept = PoolEmbedding.learn(
                    encoder, items, seed=settings.seed, options=options, read_by=project.read_by, progress=progress
                )
            if not dry_run and project.outside is None:
                kept.save(path_of(project))
            step.detail = f"{len(kept)} items by {encoder.name}"
    drawn = _drawn(project, dry_run=dry_run)
    described = names(project.question, settings, kept.encoder)
    return Unlabelled(kept, _prior(project, kept, items, drawn), drawn, described)


def _is_worth_it(project: RoundProject) -> bool:
    """Whether anything uses the embedding; otherwise nobody should wait for it."""
    settings = project.settings
    large = len(project.pool.open) >= FEWEST_OPEN
    return settings.learn_from_pool and (large or bool(needs(settings.strategy) & GOES_BY_IT))


def _all_tasks(project: RoundProject) -> list[Task]:
    return [task for task, _ in project.pool.training] + list(project.pool.open)


def _read(tasks: Sequence[Task], project: RoundProject, recorder: Recorder) -> list[Any]:
    """The items of tasks; fetching them may take minutes, so people see its progress."""
    _take_known(tasks, project)
    if all(task.id in project.items for task in tasks):
        return read_tasks(tasks, project, recorder.report).items
    with recorder.step("read content") as step:
        items = read_tasks(tasks, project, recorder.report, step.progress).items
        step.detail = f"{len(items)} of {len(tasks)} tasks"
    return items


def _take_known(tasks: Sequence[Task], project: RoundProject) -> None:
    """Add the items that need not be fetched to those of the project."""
    unread = [task for task in tasks if task.id not in project.items]
    project.items.update(known_items(unread, project.question, project.reader, project.media))


def _kept(project: RoundProject, encoder: type[Encoder]) -> PoolEmbedding | None:
    """The stored embedding; None if there is none, or it is damaged or was made in another way.

    With a pool outside it is that of this round: each round compares other rows, whose vectors are kept with the pool.
    """
    if project.outside is not None:
        return project.unlabelled.embedding if project.unlabelled is not None else None
    try:
        kept = PoolEmbedding.load(path_of(project)) if path_of(project).exists() else None
    except StoreError:
        return None  # it is computed again
    settings = project.settings
    wanted = made_of(encoder, settings.seed, settings.embedding_options, project.read_by)
    if kept is None or kept.made_of != wanted:
        return None
    length = getattr(kept.encoder, "length", 0)
    return kept if project.vector_length in (0, length) else None


def _drawn(project: RoundProject, *, dry_run: bool) -> frozenset[int]:
    """Labelled tasks that were drawn at random."""
    known = {task.id for task, _ in project.pool.training}
    bulk = answered_in_bulk(task for task, _ in project.pool.training)
    try:
        answers = (looked_up if dry_run else record)(project.store, known, bulk)
    except StoreError:
        return frozenset()  # the round goes on without them, and its measures say what is damaged
    first, later = random_sample(
        np.array(sorted(known), dtype=np.int64),
        answers,
        np.array([task.id for task in project.pool.open], dtype=np.int64),
        seed=project.settings.seed,
        keys=project.keys,
    )
    return frozenset((*first, *later))


def _check_shares(project: RoundProject) -> None:
    """Refuse other labels: a misspelt one would get the share 0, and never be expected anywhere."""
    given, labels = project.settings.class_shares, project.question.labels
    if given and set(given) != set(labels):
        raise ConfigurationError(
            f"class_shares names {', '.join(map(repr, given))}; name each label of the labeling config once: "
            + ", ".join(map(repr, labels))
        )


def _prior(
    project: RoundProject, embedding: PoolEmbedding, items: Sequence[Any], drawn: frozenset[int]
) -> NDArray[np.float64]:
    labels: Sequence[str] = project.question.labels
    given = project.settings.class_shares
    if given:
        shares = np.array([float(given[label]) for label in labels])
        return np.asarray(shares if project.question.multiple else shares / shares.sum())
    if project.question.multiple:
        read = [(task.id, label) for task, label in project.pool.training if task.id in project.items]
        sets = targets_of([label for _, label in read], project.question)
        known = LabeledItems([project.items[task] for task, _ in read], sets)
        by_chance = np.array([task in drawn for task, _ in read], dtype=np.bool_)
        return rates_in_pool(embedding, items, known, by_chance)
    targets = [labels.index(label) for task, label in project.pool.training if task.id in drawn]
    return class_prior(len(labels), np.array(targets, dtype=np.int64))
