"""A project's embedding: read from its store, learnt where it is missing, extended to the tasks that came since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders.registry import choose_encoder
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.rounds.random_baseline import random_sample
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.workspace import RoundProject, read_tasks
from ml_backend.semi_supervised.choice import FEWEST_OPEN, class_prior
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled, made_of
from ml_backend.store.query_log import record, recorded
from ml_backend.strategies.inputs import Need
from ml_backend.strategies.mixture import needs

FILE: Final = "embedding.safetensors"
GOES_BY_IT: Final = frozenset[Need](("neighbourhood", "embeddings"))
"""What strategies need of it; those that need embeddings only before a first model."""
AT_ONCE: Final = 1000
"""Unknown tasks up to which a round embeds before it orders; more would keep the first order waiting."""


def path_of(project: RoundProject) -> Path:
    """Where a project's embedding lies."""
    return project.store.folder / FILE


def unlabelled(project: RoundProject, recorder: Recorder, *, at_once: bool, dry_run: bool = False) -> Unlabelled | None:
    """The embedding of all tasks that train or are open, and the classes' expected shares.

    Args:
        project: as the round read it.
        recorder: times the work, and takes what is missing.
        at_once: only if it is quick: None where more than `AT_ONCE` tasks would have to be embedded first.
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
    # Where nothing goes by it, it is not worth the wait.
    if len(project.pool.open) < FEWEST_OPEN and not needs(settings.strategy) & GOES_BY_IT:
        return None
    kept = _kept(project)
    if kept is not None and kept.made_of != made_of(encoder, settings.seed, settings.embedding_options):
        kept = None
    tasks = [task for task, _ in project.pool.training] + list(project.pool.open)
    if not tasks or (at_once and len(tasks) - (len(kept) if kept else 0) > AT_ONCE):
        return None
    items = read_tasks(tasks, project, recorder.report).items
    if not items:
        return None
    if kept is None or not kept.knows(items):
        with recorder.step("embed") as step:
            if kept is not None:
                kept = kept.extended(items)
            else:
                options, progress = settings.embedding_options, step.progress
                kept = PoolEmbedding.learn(encoder, items, seed=settings.seed, options=options, progress=progress)
            if not dry_run:
                kept.save(path_of(project))
            step.detail = f"{len(kept)} items by {encoder.name}"
    drawn = _drawn(project, dry_run=dry_run)
    return Unlabelled(kept, _prior(project, drawn), drawn)


def _kept(project: RoundProject) -> PoolEmbedding | None:
    """The stored embedding; None where there is none that can be used."""
    try:
        return PoolEmbedding.load(path_of(project)) if path_of(project).exists() else None
    except StoreError:
        return None  # it can be computed again


def _drawn(project: RoundProject, *, dry_run: bool) -> frozenset[int]:
    """Labelled tasks that chance chose."""
    known = {task.id: label for task, label in project.pool.training}
    try:
        answers = recorded(project.store) if dry_run else record(project.store, known)
    except StoreError:
        return frozenset()  # the round goes on without, and its measures say what is damaged
    first, later = random_sample(
        np.array(sorted(known), dtype=np.int64),
        answers,
        np.array([task.id for task in project.pool.open], dtype=np.int64),
        seed=project.settings.seed,
    )
    return frozenset((*first, *later))


def _check_shares(project: RoundProject) -> None:
    """A misspelt label would have the share 0, and never be expected anywhere."""
    given, labels = project.settings.class_shares, project.question.labels
    if given and set(given) != set(labels):
        raise ConfigurationError(
            f"class_shares names {', '.join(map(repr, given))}; name each label of the labeling config once: "
            + ", ".join(map(repr, labels))
        )


def _prior(project: RoundProject, drawn: frozenset[int]) -> NDArray[np.float64]:
    labels: Sequence[str] = project.question.labels
    given = project.settings.class_shares
    if given:
        shares = np.array([float(given[label]) for label in labels])
        return np.asarray(shares / shares.sum())
    targets = [labels.index(label) for task, label in project.pool.training if task.id in drawn]
    return class_prior(len(labels), np.array(targets, dtype=np.int64))
