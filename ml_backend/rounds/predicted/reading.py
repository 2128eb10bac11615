"""The first step: tasks, and what other models predicted of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ml_backend.config import ProjectSettings
from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.label_studio.foreign import Foreign, ForeignPredictions, is_foreign, read_foreign
from ml_backend.label_studio.layout import Layout, read_layout
from ml_backend.label_studio.present import Present
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.task_rows import TIME_FORMAT
from ml_backend.records import Project
from ml_backend.regions.doubt import Scored
from ml_backend.regions.reading import NO_SCORE, read_regions, usable_score
from ml_backend.rounds.asked import read_asked
from ml_backend.rounds.examples import TaskPool
from ml_backend.rounds.predicted.pool import divide_answered
from ml_backend.rounds.read import forget_overrides, warn_left_out, warn_served, warn_unread
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.workspace import Run
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides
from ml_backend.store.queue_overrides import read as read_overrides

SHOWN_TASKS: Final = 5
"""Tasks that a warning names."""
UNKNOWN_CLASSES: Final = 2


@dataclass(frozen=True)
class PredictedProject:
    """One project as such a round sees it."""

    now: Project
    store: ProjectStore
    settings: ProjectSettings
    layout: Layout
    pool: TaskPool
    foreign: ForeignPredictions
    scored: Mapping[int, Scored]
    """Task id → what its prediction's doubt is made of; of open tasks with a prediction."""
    overrides: QueueOverrides


def read_predicted(
    present: Present,
    store: ProjectStore,
    settings: ProjectSettings,
    run: Run,
) -> PredictedProject:
    """Tasks and predictions.

    Raises:
        LabelConfigError: nobody can read the labeling config. LabelStudioError: tasks or predictions cannot be read.
        ConfigurationError: no prediction has the name that the settings give.
    """
    client, recorder, now = run.workspace.client, run.recorder, present.project
    with recorder.step("read") as step:
        layout = read_layout(now.label_config, project=now.id)
        cache = TaskCache(store.task_cache_path)
        refresh = cache.refresh(
            client, now.id, present=present, listener=lambda rows: step.progress(rows, now.task_count)
        )
        overrides = read_overrides(store)
        pool = divide_answered(cache.tasks(), overrides.dropped)
        step.detail = f"{refresh.read} of {now.task_count} tasks"
    with recorder.step("predictions") as step:
        foreign = read_foreign(client, now.id, settings.predictions_from)
        if not foreign.by_task:
            _refuse_a_wrong_name(client.prediction_versions(now.id), settings.predictions_from, now.id)
        open_ids = {task.id for task in pool.open}
        used = [each for task, each in foreign.by_task.items() if task in open_ids]
        scored, problems = scores_of(used, layout)
        step.detail = f"{len(scored)} of {len(open_ids)} open tasks have one"
    report = recorder.report
    report.open_tasks, report.counted = len(pool.open), pool.counts
    report.newest_answer = pool.newest.strftime(TIME_FORMAT) if pool.newest else ""
    if not run.is_dry:
        _note(store, now, settings, layout)
        forget_overrides(store, overrides, pool.open, pool.dropped)
    warn_left_out(pool.skipped, len(pool.dropped), recorder)
    warn_served(now, store.current(), recorder)
    warn_unread(refresh.left_out, recorder)
    _warn_about(foreign, open_ids, problems, recorder)
    return PredictedProject(now, store, settings, layout, pool, foreign, scored, overrides)


def scores_of(
    predictions: Iterable[Foreign], layout: Layout
) -> tuple[dict[int, Scored], dict[str, tuple[Counter[int], int]]]:
    """What doubt is made of, by task; and what could not be used: in words → how often by task, and in all."""
    found: dict[int, Scored] = {}
    wrong: dict[str, Counter[int]] = {}
    for each in predictions:
        read = read_regions(each.result)
        overall = usable_score(each.score)
        problems = read.problems
        if isinstance(overall, str) and overall != NO_SCORE:
            problems = problems + Counter([f"{overall}, of the whole prediction"])
        known = not isinstance(overall, str)
        if known and not any(region.score is not None for region in read.regions):
            problems = problems - Counter({NO_SCORE: problems[NO_SCORE]})  # the whole prediction's stands in
        for problem, count in problems.items():
            wrong.setdefault(problem, Counter())[each.task] += count
        rated = [region for region in read.regions if region.score is not None]
        found[each.task] = Scored(
            tuple(region.score for region in rated if region.score is not None),
            tuple(_classes(region.controls, layout) for region in rated),
            len(read.regions),
            None if isinstance(overall, str) else overall,
        )
    return found, {problem: (tasks, tasks.total()) for problem, tasks in wrong.items()}


def _classes(controls: Iterable[str], layout: Layout) -> int:
    """How many labels a region made with these tags could have had."""
    return max((len(layout.controls.get(name, ())) for name in controls), default=0) or UNKNOWN_CLASSES


def _refuse_a_wrong_name(versions: Mapping[str, int], wanted: str, project_id: int) -> None:
    others = {name: count for name, count in versions.items() if is_foreign(name)}
    if wanted and others:
        there = ", ".join(f"{name or 'without a name'} ({count:,})" for name, count in sorted(others.items()))
        raise ConfigurationError(
            f"No task of project {project_id} has a prediction of {wanted!r}; there are those of {there}. Correct "
            "predictions_from in the extra params (Settings > Model); unset, each task's newest prediction counts."
        )


def _warn_about(
    foreign: ForeignPredictions,
    open_ids: set[int],
    problems: Mapping[str, tuple[Counter[int], int]],
    recorder: Recorder,
) -> None:
    if not foreign.by_task:
        recorder.warn(
            "No task has a prediction of another model: the order is random. Get some with Retrieve Predictions in "
            "the Data Manager, or import them; the next round then uses them."
        )
    if found := sorted(open_ids.intersection(foreign.contradictory)):
        recorder.warn(
            f"One model version has several different predictions of {_tasks(found)}. The newest counts: "
            f"{_some(found)}."
        )
    for problem, (tasks, count) in sorted(problems.items()):
        times = "once" if count == 1 else f"{count:,} times"
        recorder.warn(
            f"{problem[:1].upper()}{problem[1:]}: {times}, in {_tasks(tasks)}. It does not affect the order: "
            f"{_some(sorted(tasks))}."
        )


def _tasks(tasks: Collection[int]) -> str:
    return "one task" if len(tasks) == 1 else f"{len(tasks):,} tasks"


def _some(tasks: list[int]) -> str:
    more = f" and {len(tasks) - SHOWN_TASKS:,} more" if len(tasks) > SHOWN_TASKS else ""
    return f"task {', '.join(map(str, tasks[:SHOWN_TASKS]))}{more}"


def _note(store: ProjectStore, now: Project, settings: ProjectSettings, layout: Layout) -> None:
    """What readers of the store show: the question where it is one that can be learnt, else what the page shows."""
    try:
        store.note_question(read_asked(now.label_config, now.id, store, settings.wanted).question, now.title)
    except LabelConfigError:
        store.note_shown(layout.object_tag, layout.field, now.title)
