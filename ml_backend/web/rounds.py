"""The routes about rounds: the events that start them, and their state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, g, jsonify, request
from werkzeug.exceptions import Forbidden, NotFound

from ml_backend.errors import ConfigurationError
from ml_backend.jobs.job import Job
from ml_backend.rounds.request import RoundRequest
from ml_backend.web.auth import TELLS_NEWS
from ml_backend.web.requests import is_id, json_body, project_number
from ml_backend.web.services import services

START_TRAINING: Final = "START_TRAINING"
ANSWERED: Final = "ANNOTATION_CREATED"
CHANGES_OF_LABELS: Final = frozenset({ANSWERED, "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"})
CHANGES_OF_TASKS: Final = frozenset({"TASKS_CREATED", "TASKS_DELETED"})
"""All other events start nothing; publishing a queue, for example, causes a PROJECT_UPDATED."""
blueprint = Blueprint("rounds", __name__)


@blueprint.post("/webhook")
def webhook() -> tuple[Response, int]:
    """An event: a change is noted, an answer moves what comes next, `START_TRAINING` starts a round."""
    # Neither Label Studio nor the disk is asked here, because the annotator's "Submit" waits for this answer.
    known, body = services(), json_body()
    action, project_id = body.get("action"), _project_id(body.get("project"))
    if known.instant is not None and action == ANSWERED and project_id is not None:
        known.instant.heard(project_id, body.get("annotation"))
    if action == START_TRAINING:
        if g.get(TELLS_NEWS):
            raise Forbidden(
                "The webhook's secret only allows reporting news; starting a training needs the backend's password."
            )
        return jsonify(job=_start(project_id).id), 201
    relevant = action in CHANGES_OF_LABELS | CHANGES_OF_TASKS if isinstance(action, str) else False
    if not relevant or known.scheduler is None or project_id is None:
        return jsonify(accepted=False), 200
    known.scheduler.changed(project_id, _label_count(body) if action in CHANGES_OF_LABELS else 0)
    return jsonify(accepted=True), 200


def _start(project_id: int | None) -> Job:
    known = services()
    if project_id is None:
        raise ConfigurationError("The training request names no project.")
    if known.settings.label_studio_api_key is None:
        raise ConfigurationError("The backend cannot read labels: set LABEL_STUDIO_API_KEY and restart it.")
    if not known.projects.exists(project_id):
        raise NotFound(f"Label Studio at {known.settings.label_studio_url} has no project {project_id}.")
    asked = RoundRequest(project_id)
    return known.scheduler.ask(asked) if known.scheduler is not None else known.rounds.request(asked)


@blueprint.post("/job_status")
def job_status() -> tuple[Response, int]:
    """State of the round that `job` names; 410 if it is unknown."""
    job = services().rounds.job(str(json_body().get("job")))
    return (jsonify(_job_json(job)), 200) if job else (jsonify(error="unknown job"), 410)


@blueprint.post("/rounds/cancel")
def cancel() -> Response:
    """Cancel the rounds of `project`, waiting or under way: model and order stay as they are."""
    project_id = project_number(json_body().get("project"))
    if project_id is None:
        raise ConfigurationError('Send {"project": N}: the project whose rounds are to be cancelled.')
    return jsonify(cancelled=services().rounds.cancel(project_id))


@blueprint.get("/is_training")
def is_training() -> Response:
    """Whether a round of `project` runs."""
    project_id = project_number(request.args.get("project"))
    return jsonify(is_training=project_id is not None and services().rounds.running(project_id))


@blueprint.get("/status")
def status() -> Response:
    """Per project: what is served, counts of answers, the last round, whether one runs, when the next starts."""
    scheduler, instant = services().scheduler, services().instant
    found = scheduler.status() if scheduler is not None else {"projects": {}, "polling": None}
    for number, project in found["projects"].items():
        project["instant"] = instant.status(int(number)) if instant is not None else None
    return jsonify(found)


def _project_id(project: Any) -> int | None:
    number = project.get("id") if isinstance(project, Mapping) else None
    return number if is_id(number) else None


def _label_count(body: Mapping[str, Any]) -> int:
    """How many labels an event is about, according to itself. Only a hint, so a wrong number does no harm."""
    lists = [len(value) for name in ("annotation", "annotations") if isinstance(value := body.get(name), list)]
    return max([1, *lists])


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job_status": job.status,
        "error": job.error,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "result": job.result,
    }
