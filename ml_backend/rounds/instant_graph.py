"""What a round leaves for the instant loop, or why it leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ml_backend.errors import StoreError
from ml_backend.instant.queue import MOVABLE
from ml_backend.label_studio.client import TIME_FORMAT
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.models.several import different_answers
from ml_backend.records import Queue
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.question_order import QuestionRanking
from ml_backend.rounds.report import Report
from ml_backend.selection.build_inputs import labelled_in, neighbourhood
from ml_backend.selection.context import QueryContext
from ml_backend.selection.scoring import Scores
from ml_backend.semi_supervised.choice import FEWEST_OPEN
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.store.instant_graph import InstantGraph, remove, write
from ml_backend.strategies.auto_phases import is_cold

MOST_OPEN: Final = 100_000
"""Open tasks above which one answer takes the graph too long."""
ON: Final = "on"


def write_instant_graph(
    project: RoundProject,
    queue: Queue,
    context: QueryContext,
    scores: Scores | None,
    report: Report,
    rankings: Sequence[QuestionRanking] = (),
) -> None:
    """Write the graph that goes with a queue, or remove what is there; the report says which and why.

    Of several questions each has a graph of its own: of ``rankings`` those that have labels enough.
    """
    found = _graph(project, queue, context, scores)
    if isinstance(found, InstantGraph):
        found = replace(found, others=tuple(_others(context, rankings)))
    try:
        if isinstance(found, str):
            remove(project.store.folder)
        else:
            write(project.store.folder, found)
        report.instant = found if isinstance(found, str) else ON
    except StoreError as exc:  # the order can do without
        report.instant = f"off: {exc}"


def _graph(project: RoundProject, queue: Queue, context: QueryContext, scores: Scores | None) -> InstantGraph | str:
    known = labelled_in(context)
    if not context.settings.instant:
        return "off: switched off"
    if not any(item.picked_by == MOVABLE for item in queue.predictions):
        return f"off: only what {MOVABLE} chose is moved"
    if context.unlabelled is None:
        return "off: nothing has embedded the tasks without labels"
    if not FEWEST_OPEN <= len(context) <= MOST_OPEN:
        return f"off: it needs {FEWEST_OPEN:,} to {MOST_OPEN:,} open tasks"
    if is_cold(len(known.targets), different_answers(known.targets), context.classes):
        return "off: until there are enough labels to look between the classes"
    graph = _neighbourhood(context, context.unlabelled, scores)
    newest = max(annotation.updated_at for task, _ in project.pool.training for annotation in task.annotations)
    return InstantGraph(queue.name, project.question, newest.strftime(TIME_FORMAT), context.task_ids, graph)


def _others(first: QueryContext, rankings: Sequence[QuestionRanking]) -> Iterator[tuple[ChoiceQuestion, Neighbourhood]]:
    """The graphs of the questions beside the first, each of the same open tasks."""
    for each in rankings:
        context, known = each.context, labelled_in(each.context)
        is_ready = not is_cold(len(known.targets), different_answers(known.targets), context.classes)
        if context.unlabelled is not None and is_ready and np.array_equal(context.task_ids, first.task_ids):
            yield each.head.question, _neighbourhood(context, context.unlabelled, each.scores)


def _neighbourhood(context: QueryContext, learnt: Unlabelled, scores: Scores | None) -> Neighbourhood:
    if scores is not None and scores.kept is not None and len(scores.kept) < len(context):
        scores = None  # of a pool too large for memory the graph alone is asked
    return neighbourhood(context, labelled_in(context), learnt, scores)
