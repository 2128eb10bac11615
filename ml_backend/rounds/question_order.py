"""One order of several questions: by the mean of their uncertainties, or by turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml_backend.records import CONTROL, PINNED
from ml_backend.rounds.question_scores import QuestionScores
from ml_backend.selection.context import QueryContext
from ml_backend.selection.scoring import Scores
from ml_backend.selection.selection import Selection
from ml_backend.strategies.mixture import itemwise


@dataclass(frozen=True)
class QuestionRanking(QuestionScores):
    """What a head says about the open tasks, and the order that its question alone would ask them in."""

    context: QueryContext
    order: Selection | None = None
    """Its own order, where the strategies compare tasks with each other."""


def goes_by_mean(strategy: str) -> bool:
    """Whether a strategy tells each task's uncertainty by itself, so that the questions' have a mean."""
    return itemwise(strategy)


def in_turn(first: Selection, weight: float, rankings: Sequence[QuestionRanking]) -> Selection:
    """The first question's order with the others' picks among its own, by turns as the weights are.

    Control tasks and those that people want first keep their places. Where questions compare tasks each in its own
    way, there is no measure that they share.
    """
    fixed = {place for place, by in enumerate(first.picked_by) if by in (CONTROL, PINNED)}
    taken = {int(first.task_ids[place]) for place in fixed}
    sources = [(weight, _free(first, fixed))] + [
        (each.head.weight, _free(each.order, set())) for each in rankings if each.order is not None
    ]
    turns, used = [0.0] * len(sources), [0] * len(sources)
    ids, by, reasons = first.task_ids.copy(), list(first.picked_by), dict(first.reasons)
    asked_by: dict[int, str] = {}
    for place in range(len(first)):
        if place in fixed:
            continue
        task, source = _next(sources, turns, used, taken)
        taken.add(task)
        ids[place] = task
        if source:
            each = rankings[source - 1]
            order = each.order or first
            by[place] = order.picked_by[int(np.flatnonzero(order.task_ids == task)[0])]
            reasons[task] = reason_of(each, order.reasons.get(task, ""))
            asked_by[task] = each.head.question.control
        else:
            by[place] = first.picked_by[int(np.flatnonzero(first.task_ids == task)[0])]
    utility = np.linspace(1.0, 0.0, len(ids), dtype=np.float64)
    return replace(first, task_ids=ids, picked_by=tuple(by), utility=utility, reasons=reasons, asked_by=asked_by)


def _free(order: Selection, fixed: set[int]) -> list[int]:
    return [int(task) for place, task in enumerate(order.task_ids.tolist()) if place not in fixed]


def _next(
    sources: Sequence[tuple[float, list[int]]], turns: list[float], used: list[int], taken: set[int]
) -> tuple[int, int]:
    """The next task, and whose it is: of the question that is furthest behind its share."""
    for source in sorted(range(len(sources)), key=lambda s: (turns[s] + 1) / (sources[s][0] or 1e-9)):
        order = sources[source][1]
        while used[source] < len(order) and order[used[source]] in taken:
            used[source] += 1
        if used[source] < len(order):
            turns[source] += 1
            return order[used[source]], source
    raise AssertionError("the first order holds as many tasks as it has places")


def reason_of(ranking: QuestionRanking, text: str) -> str:
    """A reason with the question's labels filled in and its name in front; braces in them are kept as they are."""
    question = ranking.head.question
    reason = text.format(*question.labels) or "by this question"
    return f"{question.control}: {reason}".replace("{", "{{").replace("}", "}}")


def doubted_most(chosen: Selection, scores: Scores, weight: float, rankings: Sequence[QuestionRanking]) -> Selection:
    """The reasons of an order by the mean: between which labels the question wavers that doubts most."""
    rows = {task: row for row, task in enumerate(rankings[0].task_ids.tolist())}
    reasons = dict(chosen.reasons)
    for task in list(reasons):
        row = rows.get(task)
        if row is None:
            continue
        parts = [each.head.weight * float(each.scores.uncertainty[row]) for each in rankings]
        if max(parts) > weight * float(scores.uncertainty[row]):
            each = rankings[int(np.argmax(parts))]
            reasons[task] = reason_of(each, each.scores.wavers(row))
    return replace(chosen, reasons=reasons)
