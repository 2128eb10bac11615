"""Rows as a project's model sees them: which vectors suit the project, and its items from vectors and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import draws_for
from ml_backend.encoders import text_vectors
from ml_backend.encoders.pictures import GREY_SIDE
from ml_backend.encoders.registry import AUTO, ENCODERS
from ml_backend.errors import ConfigurationError
from ml_backend.pool.encoders import PIXELS, TEXT, PoolEncoder, encoder_for
from ml_backend.pool.rows import Rows
from ml_backend.pool.vector_pages import in_memory
from ml_backend.pool.vectors import About, Vectors, folder_of
from ml_backend.records import FIRST_ROW, Task
from ml_backend.rounds.encoder_candidates import candidates, with_earlier
from ml_backend.rounds.project import RoundProject, read_tasks
from ml_backend.rounds.report import Report
from ml_backend.selection.control_arm import ORDER_STREAM
from ml_backend.store.project_store import ProjectStore


@dataclass(frozen=True)
class Suited:
    """A project with the vectors of its pool."""

    project: RoundProject
    """Its model and encoder are those of the vectors."""
    encoder: PoolEncoder
    vectors: Vectors
    about: About


def suited(project: RoundProject, store: ProjectStore) -> Suited | None:
    """The project as the vectors of its pool suit it, the preferred where there are several; None without any.

    Raises:
        StoreError: what is known of the vectors is damaged. ConfigurationError: no model that the settings leave open
            reads through an encoder.
    """
    reasons: list[str] = []
    options = with_earlier(candidates(project.question.object_tag, project.settings))
    for option in options:
        try:
            encoder = encoder_for(option.model, option.encoder, len(project.question.parts) or 1)
        except ConfigurationError as exc:
            reasons.append(str(exc))
            continue
        vectors = Vectors(folder_of(store, encoder.name))
        about = vectors.about()
        if about is not None:
            settings = option.settings(project.settings)
            if settings.embedding == AUTO and encoder.name in ENCODERS:  # the graph, too, goes by the pool's vectors
                settings = settings.override({"embedding": encoder.name}, where="The pool's encoder")
            return Suited(replace(project, model=option.model, settings=settings, items={}), encoder, vectors, about)
    if len(reasons) == len(options):
        raise ConfigurationError(reasons[0])
    return None


def candidate_items(
    project: RoundProject, found: Suited, tasks: Sequence[Task], rows: Rows, report: Report
) -> dict[int, Any]:
    """Number of each row → its item, of those that can be read.

    Args:
        project: whose model reads them.
        found: the pool's vectors.
        tasks: the rows as tasks, numbered by `row_keys` ``[n]``.
        rows: their vectors ``[n, D]``.
        report: takes texts that cannot be read.
    """
    if found.encoder.kind != TEXT:
        return {task.id: _picture(vector, found) for task, vector in zip(tasks, in_memory(rows.vectors), strict=True)}
    read = read_tasks(tasks, project, report)
    places = {key: place for place, key in enumerate(rows.keys.tolist())}
    order = np.array([places[key] for key in read.task_ids.tolist()], dtype=np.int64)
    text_vectors.know(found.encoder.name, read.items, in_memory(rows.vectors)[order])
    return {}  # they are among the project's items


def sample_of(project: RoundProject, count: int) -> list[Task]:
    """The first rows of the control order among a project's open items."""
    rows = [task for task in project.pool.open if task.id >= FIRST_ROW]
    keys = np.array([task.id for task in rows], dtype=np.int64)
    order = np.argsort(draws_for(keys, project.settings.seed + ORDER_STREAM), kind="stable")
    return [rows[place] for place in order[:count].tolist()]


def without_rows(project: RoundProject) -> RoundProject:
    """A project whose open items are tasks alone."""
    kept = [task for task in project.pool.open if task.id < FIRST_ROW]
    return replace(project, pool=replace(project.pool, open=kept))


def with_made(project: RoundProject, made: Mapping[int, Task]) -> RoundProject:
    """A project where rows have become tasks.

    Args:
        project: has the rows among its open items.
        made: number of each row → its task.
    """
    project.items.update({task.id: project.items[key] for key, task in made.items() if key in project.items})
    kept = [task for task in project.pool.open if task.id not in made]
    return replace(
        project,
        pool=replace(project.pool, open=[*kept, *made.values()], size=project.pool.size + len(made)),
        keys={**project.keys, **{task.id: key for key, task in made.items()}},
    )


def vectors_of(project: RoundProject, found: Suited, tasks: Sequence[Task]) -> NDArray[np.float32]:
    """Tasks in the space of the pool's vectors ``[n, D]``; of those that cannot be read 0."""
    read = read_tasks(tasks, project, Report(project.now.id))
    where = {task.id: place for place, task in enumerate(tasks)}
    out = np.zeros((len(tasks), found.about.dimensions), np.float32)
    if len(read.items):
        places = [where[task] for task in read.task_ids.tolist()]
        if found.encoder.kind == TEXT:
            out[places] = text_vectors.encode(found.encoder.name, read.items)
        else:
            out[places] = np.stack(read.items).reshape(len(read.items), -1).astype(np.float32)
    return out


def _picture(vector: NDArray[np.float16], found: Suited) -> Any:
    if found.encoder.kind == PIXELS:
        return vector.astype(np.uint8).reshape(GREY_SIDE, GREY_SIDE)
    return vector.astype(np.float32)
