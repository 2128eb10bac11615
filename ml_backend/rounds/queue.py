"""The steps ``score`` and ``rank`` of a round: put the open tasks in the order in which people are asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.label_sets import pack
from ml_backend.label_studio.publishing import latest_number
from ml_backend.label_studio.queue_names import queue_name
from ml_backend.models.base import Model
from ml_backend.records import Prediction, Queue
from ml_backend.rounds.instant_graph import write_instant_graph
from ml_backend.rounds.project import RoundProject, read_labelled, read_tasks
from ml_backend.rounds.question_order import QuestionRanking, doubted_most, goes_by_mean, in_turn
from ml_backend.rounds.question_scores import guesses_beside, with_mean
from ml_backend.rounds.report import Report
from ml_backend.rounds.several_questions import QuestionHead, weight_of
from ml_backend.rounds.workspace import Run
from ml_backend.selection.context import QueryContext, strategy_in_use, wants
from ml_backend.selection.ordering import queue_scores
from ml_backend.selection.scoring import Scores
from ml_backend.selection.select import arrange, assess, first_candidates, with_guesses
from ml_backend.selection.selection import Selection
from ml_backend.strategies.auto_phases import explain
from ml_backend.strategies.mixture import needs, parse_strategy, short_name


def make_queue(
    project: RoundProject,
    model: Model | None,
    version: str | None,
    taken: Iterable[str],
    run: Run,
    heads: Sequence[QuestionHead] = (),
) -> tuple[RoundProject, Queue]:
    """Score and rank the open tasks.

    Args:
        project: as the round read it, with open tasks.
        model: what scores them; None before a first one.
        version: the model's name.
        taken: the model versions that Label Studio has; the new queue gets a number beyond theirs.
        run: the round.
        heads: the heads of the questions beside the first.

    Returns:
        The project, with the tasks that were made from chosen rows of a pool outside, and the queue.

    Raises:
        LabelStudioError: Label Studio did not take these rows.
    """
    strategy = strategy_in_use(project.settings, trained=model is not None)
    settings = project.settings.override({"strategy": strategy}, where="Cold start")
    count = len(project.pool.open) if run.options.whole_pool and project.outside is None else settings.queue_size
    number = max(project.store.next_queue_number(), latest_number(taken) + 1)
    report = run.report
    with run.step("score") as step:
        context = _context(project, model, settings, count, report)
        scores = assess(context, progress=step.progress)
        rankings = [_ranking(head, count, report) for head in heads]
        step.detail = f"{len(context)} tasks"
    with run.step("rank") as step:
        chosen = _chosen(project, context, scores, rankings, count)
        project, chosen, context, rankings = _as_tasks(project, chosen, context, rankings, run)
        predictions = _predictions(chosen, project.question.labels, guesses_beside(rankings) if rankings else {})
        if any(part.name == "auto" for part in parse_strategy(strategy)):
            report.choice = _auto_choice(project, trained=model is not None)
        step.detail = f"{len(predictions)} by {_in_words(strategy, report.choice)}"
    samples = settings.samples if "samples" in needs(strategy) else 1
    name = queue_name(version, short_name(strategy), number)
    queue = Queue(name, version, strategy, samples, settings.seed, predictions, settings.prelabel)
    if not run.is_dry:
        write_instant_graph(project, queue, context, scores, report, rankings)
    return project, queue


def _ranking(beside: QuestionHead, count: int, report: Report) -> QuestionRanking:
    """What the head of a question beside the first says about the open tasks."""
    settings = beside.view.settings.override({"control_share": 0}, where="Several questions")
    context = _context(beside.view, beside.head.model, settings, count, report)
    scores = assess(context)
    if scores is None:
        raise AssertionError("a head is a model")
    return QuestionRanking(beside.head, context.task_ids, scores, context)


def _chosen(
    project: RoundProject,
    context: QueryContext,
    scores: Scores | None,
    rankings: Sequence[QuestionRanking],
    count: int,
) -> Selection:
    """The order of one question, or of several together."""
    turn = len(project.pool.training) if project.outside else len(project.pool.open)
    front = project.draw_ids(project.overrides.front).tolist()
    if not rankings:
        return arrange(context, scores, count=count, turn=turn, front=front)
    weight = weight_of(project, project.question.control)
    if scores is not None and goes_by_mean(project.settings.strategy):
        mean = with_mean(scores, weight, rankings)
        return doubted_most(arrange(context, mean, count=count, turn=turn, front=front), scores, weight, rankings)
    rankings = [replace(each, order=arrange(each.context, each.scores, count=count)) for each in rankings]
    merged = in_turn(arrange(context, scores, count=count, turn=turn, front=front), weight, rankings)
    return merged if scores is None else with_guesses(merged, context.task_ids, scores)


def _as_tasks(
    project: RoundProject,
    chosen: Selection,
    context: QueryContext,
    rankings: list[QuestionRanking],
    run: Run,
) -> tuple[RoundProject, Selection, QueryContext, list[QuestionRanking]]:
    """Turn chosen rows of a pool outside into tasks (not in a dry run), and name everything by task ids again.

    Until then, rows of the pool and the tasks made from them are known by the numbers that draws use.
    """
    if project.outside is None:
        return project, chosen, context, rankings
    tasks = {key: task for task, key in project.keys.items()}
    if not run.is_dry:
        wanted = [key for key in chosen.task_ids.tolist() if key not in tasks]
        project, made = project.outside.fed(project, wanted, run.recorder)
        tasks |= made
        lost = frozenset(key for key in wanted if key not in made and key not in {t.id for t in project.pool.open})
        chosen = chosen.without(lost)
    contexts = [_renamed(each, tasks) for each in (context, *(each.context for each in rankings))]
    rankings = [replace(e, context=c, task_ids=c.task_ids) for e, c in zip(rankings, contexts[1:], strict=True)]
    return project, chosen.renamed(tasks), contexts[0], rankings


def _renamed(context: QueryContext, names: Mapping[int, int]) -> QueryContext:
    return replace(context, task_ids=np.array([names.get(k, k) for k in context.task_ids.tolist()], dtype=np.int64))


def _context(
    project: RoundProject, model: Model | None, settings: ProjectSettings, count: int, report: Report
) -> QueryContext:
    """The open tasks that can be read and chosen, and whatever else the strategy needs."""
    tasks, trained = project.pool.open, model is not None
    ids = project.draw_ids([task.id for task in tasks])
    candidates = first_candidates(ids, settings, trained=trained, count=count)
    candidates = candidates.union(project.draw_ids(project.overrides.front).tolist())
    examples = read_tasks(
        [task for task, key in zip(tasks, ids.tolist(), strict=True) if key in candidates], project, report
    )
    wanted = wants(settings, trained=trained)
    return QueryContext(
        model,
        examples.items,
        project.draw_ids(examples.task_ids),
        settings,
        classes=len(project.question.labels),
        labelled=read_labelled(project.pool.training, project, report)[0] if "labelled" in wanted else None,
        validation=read_labelled(project.pool.evaluation, project, report)[0] if "validation" in wanted else None,
        unlabelled=project.unlabelled,
        multiple=project.question.multiple,
    )


def _in_words(strategy: str, choice: str) -> str:
    """A strategy, and what ``auto`` in it asks for now (a text that begins with ``auto``)."""
    if strategy == "auto":
        return choice
    return f"{strategy} ({choice})" if choice else strategy


def _auto_choice(project: RoundProject, *, trained: bool) -> str:
    """What ``auto`` asks for now, and which vectors its neighbours come from."""
    labels, sets = len(project.pool.training), project.question.multiple
    choice = explain(labels, len(project.label_counts), len(project.question.labels), sets=sets)
    if project.unlabelled is None:
        choice += "; neighbours by " + ("the model's own features" if trained else "raw features")
    return choice


def _guess(chosen: Selection, place: int, labels: Sequence[str]) -> str | None:
    """The model's guess for the task at a place: a label, or the text for a set; None if no model scored."""
    if chosen.sets is not None:
        return pack([labels[c] for c in np.flatnonzero(chosen.sets[place])], labels)
    return None if chosen.winner is None else labels[chosen.winner[place]]


def _predictions(
    chosen: Selection, labels: Sequence[str], beside: Mapping[int, list[dict[str, Any]]]
) -> tuple[Prediction, ...]:
    served = queue_scores(chosen.utility).tolist()
    return tuple(
        Prediction(
            task,
            _guess(chosen, place, labels),
            0.0 if chosen.confidence is None else float(chosen.confidence[place]),
            served[place],
            chosen.picked_by[place],
            chosen.reasons.get(task, "").format(*labels),
            besides=beside.get(task),
            asked_by=chosen.asked_by.get(task, ""),
        )
        for place, task in enumerate(chosen.task_ids.tolist())
    )
