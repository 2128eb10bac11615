"""The first step of a round: one project read from Label Studio and its store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ml_backend.config import ProjectSettings
from ml_backend.evaluation import agreement
from ml_backend.fetching.budget import Budget
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING
from ml_backend.label_studio.config_options import option_fields, shared_options
from ml_backend.label_studio.labeling_config import ChoiceQuestion, LabelingConfig
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.present import Present
from ml_backend.label_studio.task_cache import Refresh, TaskCache
from ml_backend.label_studio.task_rows import TIME_FORMAT
from ml_backend.records import Project, Task
from ml_backend.rounds.asked import read_asked
from ml_backend.rounds.encoder_candidates import candidates
from ml_backend.rounds.encoder_choice import choose
from ml_backend.rounds.examples import TaskPool, divide
from ml_backend.rounds.project import OutsidePool, RoundProject
from ml_backend.rounds.report import Recorder, Step
from ml_backend.rounds.vector_reading import usual_length
from ml_backend.rounds.workspace import Run, Workspace
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides, forget
from ml_backend.store.queue_overrides import read as read_overrides

SHOWN_ANSWERS: Final = 20
"""How many tasks with unreadable answers a warning names."""


def read_project(present: Present, store: ProjectStore, run: Run, outside: OutsidePool | None) -> RoundProject:
    """Read what the round is based on: the question, the settings, and all tasks, divided by how they are used.

    Raises:
        LabelConfigError: the project does not ask one choice about one image or text.
        ConfigurationError: wrong settings, or no task has the numbers that one names. LabelStudioError: the tasks
            cannot be read.
    """
    recorder = run.recorder
    with run.step("read") as step:
        now = present.project
        settings = settings_of(run.workspace, store, run.options.overrides, now.id)
        asked, cache, refresh = _asked(present, store, run.workspace, settings, step)
        question = asked.question
        overrides = read_overrides(store)
        pool = divide(cache.tasks(), question, overrides.dropped)
        others = tuple((each, divide(cache.tasks(), each, overrides.dropped)) for each in asked.others)
        media = _media(run.workspace, cache, question)
        model = candidates(question.object_tag, settings)[0].model
    run.report.open_tasks = len(pool.open)
    run.report.newest_answer = pool.newest.strftime(TIME_FORMAT) if pool.newest else ""
    run.report.agreement = agreement.measure(pool.several.values(), sets=question.multiple)
    if (change := kind_changed(store.noted_question(), question)) and pool.training:
        run.warn(change)
    read = RoundProject(now, store, question, settings, pool, media, model, overrides)
    read = replace(read, vector_length=usual_length(_all(pool), question), others=others)
    if outside is None:
        project = choose(read, recorder, dry_run=run.is_dry)
    else:
        project = outside.attached(replace(read, outside=outside), recorder)
    if not run.is_dry:
        store.note_question(question, now.title)
        forget_overrides(store, project.overrides, project.pool.open, project.pool.dropped)
    _warn_about(project, recorder)
    warn_unread(refresh.left_out, recorder)
    return project


def _asked(
    present: Present, store: ProjectStore, workspace: Workspace, settings: ProjectSettings, step: Step
) -> tuple[LabelingConfig, TaskCache, Refresh]:
    """The question, and the copy of the tasks as they are now; choices that come with the tasks are read from all."""
    now = present.project
    xml, wanted = now.label_config, settings.wanted
    # A config that cannot be learnt is refused before much is read.
    known = None if option_fields(xml) else read_asked(xml, now.id, store, wanted)
    cache = TaskCache(store.task_cache_path)
    cache.shrink()
    refresh = cache.refresh(
        workspace.client, now.id, present=present, listener=lambda rows: step.progress(rows, now.task_count)
    )
    step.detail = f"{refresh.read} of {now.task_count} tasks"
    if known is None:
        options = shared_options(xml, cache.tasks(), project=now.id)
        known = read_asked(xml, now.id, store, replace(wanted, options=options))
    return known, cache, refresh


def _media(workspace: Workspace, cache: TaskCache, question: ChoiceQuestion) -> MediaReader:
    """The reader of the tasks' content; it keeps fetched texts as they are, and small versions of pictures."""
    read = MediaReader(workspace.client, fetcher=workspace.fetcher)
    read = replace(read, budget=Budget(workspace.media_seconds, what="one round"))
    by_url = question.by_url or any(part.by_url for part in question.parts)
    if by_url and question.shown_as == "Image":
        return read  # texts and pictures are kept in the same place, and could not be told apart
    if by_url:
        return replace(read, cached=cache.cached_text, fetched=cache.keep_text)
    return replace(read, cached=cache.cached_media, fetched=cache.keep_thumbnail)


def _all(pool: TaskPool) -> list[Task]:
    return [*pool.open, *(task for task, _ in (*pool.training, *pool.evaluation))]


def kind_changed(before: ChoiceQuestion | None, now: ChoiceQuestion) -> str:
    """A message for when the question has begun or ceased to take several choices; empty if neither."""
    if before is None or before.multiple == now.multiple:
        return ""
    if now.multiple:
        return (
            f'The labeling config now has choice="multiple" for "{now.control}": answers that were given while one '
            "choice was possible count as sets of that one label. Look through them where a second label may belong to "
            "them."
        )
    return (
        f'The labeling config no longer takes several choices for "{now.control}": answers with several, or with none, '
        "are left out until they are given anew."
    )


def settings_of(
    workspace: Workspace, store: ProjectStore, overrides: Mapping[str, Any], project_id: int
) -> ProjectSettings:
    """The project's settings in one round.

    Raises:
        ConfigurationError: an unknown name or an invalid value; the message says whose.
    """
    where = f"Extra params of project {project_id} (Settings > Model)"
    settings = workspace.defaults.override(store.extra_params(), where=where)
    return settings.override(overrides, where="Settings of this round")


def forget_overrides(
    store: ProjectStore, overrides: QueueOverrides, open_tasks: Iterable[Task], dropped: Collection[int]
) -> None:
    """Forget people's wishes about tasks that are answered, skipped or gone."""
    if overrides.front or overrides.dropped:
        open_ids = {task.id for task in open_tasks}.union(dropped)
        forget(store, {*overrides.front, *overrides.dropped} - open_ids)


def warn_unread(left_out: Sequence[int], recorder: Recorder) -> None:
    """Warn of tasks that Label Studio cannot deliver."""
    if left_out:
        shown = ", ".join(map(str, left_out[:5]))
        recorder.warn(
            f"{len(left_out)} tasks cannot be read and are left out: {shown}. Label Studio fails on them (half a "
            "character in a text?), or they are too large; delete them, and import them corrected."
        )


def _warn_about(project: RoundProject, recorder: Recorder) -> None:
    pool = project.pool
    recorder.report.counted = pool.counts
    warn_left_out(pool.skipped, len(pool.dropped), recorder)
    warn_of_answers(pool, recorder)
    for question, beside in project.others:
        warn_of_answers(beside, recorder, f' (question "{question.control}")')
    warn_served(project.now, project.store.current(), recorder)


def warn_left_out(skipped: int, dropped: int, recorder: Recorder) -> None:
    """Warn of open tasks that are not asked."""
    if skipped:
        recorder.warn(f"{skipped} skipped tasks are left out of the queue.", "skipped")
    if dropped:
        recorder.warn(f"{dropped} tasks that somebody dropped on the dashboard are left out of the queue.")


def warn_served(now: Project, current: Current, recorder: Recorder) -> None:
    """Warn of settings in Label Studio that were changed since the last round, or that keep people from the queue."""
    if current.queue and now.sampling != UNCERTAINTY_SAMPLING:
        recorder.warn(f'Sampling had been set to "{now.sampling}": set back to "{UNCERTAINTY_SAMPLING}".')
    if current.queue and now.model_version != current.queue:
        recorder.warn(f'The served model version had been changed to "{now.model_version}".')
    if now.maximum_annotations > 1:
        recorder.warn(
            f"{now.maximum_annotations} annotations per task are asked for: Label Studio gives a second annotator "
            "tasks that have one already, in random order, before it follows the queue."
        )


def warn_of_answers(pool: TaskPool, recorder: Recorder, of: str = "") -> None:
    """Warn of answers that are left out; ``of`` names their question if there are several."""
    if pool.foreign_labels:
        shown = ", ".join(f"{label!r} ({count})" for label, count in pool.foreign_labels.most_common(5))
        rest = "; the other labels of their sets count" if pool.multiple else ""
        recorder.warn(f"Labels{of} that the labeling config does not list are left out: {shown}{rest}.", "labels")
    if pool.unreadable:
        shown = "; ".join(f"task {task_id}, {why}" for task_id, why in list(pool.unreadable.items())[:SHOWN_ANSWERS])
        more = len(pool.unreadable) - SHOWN_ANSWERS
        recorder.warn(
            f"Answers to {len(pool.unreadable)} tasks{of} cannot be read and are left out: {shown}"
            f"{f'; and {more} more' if more > 0 else ''}. Open these tasks and answer them anew."
        )
    if pool.tied:
        shown = ", ".join(map(str, pool.tied[:5]))
        recorder.warn(
            f"{len(pool.tied)} tasks have tied answers{of} and are left out until another decides: {shown}.",
            None if of else "tied",
        )
