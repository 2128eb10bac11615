"""What a project asks, as its settings and its store have it: which question of its labeling config is learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.client import BACKEND_TITLE, LabelStudioClient, task_from_row
from ml_backend.label_studio.config_options import option_fields, shared_options
from ml_backend.label_studio.labeling_config import ChoiceQuestion, LabelingConfig, read_label_config
from ml_backend.records import Project, Task, Wanted
from ml_backend.rounds.extra_params import read_extra_params
from ml_backend.store.project_store import ProjectStore


def read_asked(xml: str, project: object, store: ProjectStore | None, wanted: Wanted | None = None) -> LabelingConfig:
    """The question of a config that is learnt: the one that is wanted, else the one that the present order goes by.

    Args:
        xml: the labeling config.
        project: whose it is, for errors.
        store: the project's; None where there is none yet.
        wanted: what the settings say; None: as the store has them.

    Raises:
        LabelConfigError: it cannot be learnt from, or does not ask any more what the present order goes by.
    """
    if wanted is None:
        wanted = Wanted.of(store.extra_params()) if store is not None else Wanted()
    noted = store.noted_question() if store is not None and not wanted.options else None
    wanted = replace(wanted, options=wanted.options or (noted.options if noted is not None else ""))
    before = store.noted_question() if store is not None and store.current().queue else None
    if wanted.question or before is None:
        return read_label_config(xml, project=project, wanted=wanted)
    found = read_label_config(xml, project=project, wanted=wanted)
    if (led := found.led_by(before.control)) is not None:  # another one may have been put before it
        return led
    if any(f'"{before.control}" (' in note for note in found.notes):
        return read_label_config(xml, project=project, wanted=replace(before.wanted, options=wanted.options))
    raise LabelConfigError(
        f'The labeling config of project {project} no longer asks "{before.control}", on which the present order is '
        f'based. That order stands. Name the question "{before.control}" again in Settings > Labeling Interface; or, '
        f'to start over with another one, set `question` to its name, such as "{found.question.control}" (extra params '
        "in Settings > Model)."
    )


def question_of(
    client: LabelStudioClient, project: Project, store: ProjectStore | None, *, coming: Iterable[Task] = ()
) -> ChoiceQuestion:
    """The first question that a project asks, also where its store lies on another machine.

    Args:
        client: asks Label Studio.
        project: whose question it is.
        store: the project's; None where it is elsewhere.
        coming: tasks that are about to be imported: of a project without tasks they bring the choices.

    Raises:
        LabelConfigError: as `read_asked`. LabelStudioError: Label Studio failed.
    """
    wanted = Wanted.of(params_of(client, project.id) if store is None else store.extra_params())
    wanted = with_options(client, project.id, project.label_config, store, wanted, coming=coming)
    return read_asked(project.label_config, project.id, store, wanted).question


def with_options(
    client: LabelStudioClient | None,
    project_id: int,
    xml: str,
    store: ProjectStore | None,
    wanted: Wanted,
    *,
    coming: Iterable[Task] = (),
) -> Wanted:
    """The same with the choices that come with the tasks, where there are such and no round has read them.

    The first tasks tell: a round reads all, and refuses those that differ.

    Raises:
        LabelStudioError: Label Studio failed. LabelConfigError: these tasks have different choices.
    """
    noted = store.noted_question() if store is not None else None
    if client is None or wanted.options or (noted is not None and noted.options) or not option_fields(xml):
        return wanted
    rows = next(iter(client.all_tasks(project_id)), [])
    tasks = map(task_from_row, rows) if rows else coming
    return replace(wanted, options=shared_options(xml, tasks, project=project_id))


def params_of(client: LabelStudioClient, project_id: int) -> Mapping[str, Any]:
    """Extra params as the backend's record in Label Studio has them."""
    rows = [row for row in client.backends(project_id) if row["title"] == BACKEND_TITLE]
    return read_extra_params(rows[0].get("extra_params")) if rows else {}
