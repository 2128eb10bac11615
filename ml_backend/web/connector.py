"""The routes that Label Studio requests of every ML backend."""

from __future__ import annotations

import logging
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import NotFound

from ml_backend.errors import ChoicesToCome, ConfigurationError, RequestTooLarge
from ml_backend.label_studio.labeling_config import read_label_config
from ml_backend.label_studio.twins import MARK
from ml_backend.predictor import UNTRAINED, Predictor
from ml_backend.records import Wanted
from ml_backend.rounds.extra_params import check_extra_params, read_extra_params, set_extra_params
from ml_backend.rounds.webhook import note_address
from ml_backend.store.registry import stores_of
from ml_backend.web.limits import MOST_TASKS
from ml_backend.web.requests import any_json, is_id, json_body, project_name, project_uid, required_text
from ml_backend.web.services import services

log = logging.getLogger(__name__)
MODEL_CLASS: Final = "ActiveLearningBackend"
"""What Label Studio is told; label-studio-ml's own server reports the class that we have there."""
blueprint = Blueprint("connector", __name__)


@blueprint.get("/")
@blueprint.get("/health")
def health() -> Response:
    """Whether the backend is up, and which process this is (`instance`); asks for no password."""
    return jsonify(status="UP", model_class=MODEL_CLASS, **{MARK: services().instance})


@blueprint.post("/setup")
def setup() -> Response:
    """Connect a project: check its labeling config (`schema`) and extra params, and answer the served version."""
    # The body also holds a host name and the project creator's token. Neither is used or logged.
    body, settings = json_body(), services().settings
    uid = project_uid(body.get("project"))
    params = read_extra_params(body.get("extra_params"))
    check_extra_params(settings, params)
    predictor = Predictor(settings, required_text(body, "schema"), uid, Wanted.of(params), params)
    confirmed = services().projects.confirms(uid)
    if confirmed is False:
        raise NotFound(
            f"Label Studio at {settings.label_studio_url} has no project {uid}: check LABEL_STUDIO_URL, and that the "
            "account of LABEL_STUDIO_API_KEY sees the project."
        )
    if confirmed is None and params:
        raise ConfigurationError("Extra params cannot be stored: set LABEL_STUDIO_API_KEY, and restart the backend.")
    if confirmed is None:  # nobody can confirm the project, which may be made up, so nothing about it is stored
        return jsonify(model_version=UNTRAINED)
    set_extra_params(settings, uid, params)
    _tell_of_config(uid, predictor)
    note_address(settings, stores_of(settings).get(uid), request.url_root)
    if predictor.question is not None:
        stores_of(settings).get(uid).note_question(predictor.question)
    return jsonify(model_version=predictor.model_version_in_use())


@blueprint.post("/predict")
def predict() -> Response:
    """Predictions of `tasks` by the served version of `project`."""
    body = json_body()
    tasks = body.get("tasks")
    if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
        raise ConfigurationError('A /predict request needs "tasks", a list of objects with "id" and "data".')
    if len(tasks) > MOST_TASKS:
        raise RequestTooLarge(f"{len(tasks):,} tasks in one request; at most {MOST_TASKS:,}: send them in parts.")
    config, project = body.get("label_config"), body.get("project")
    if config is not None and not isinstance(config, str):
        raise ConfigurationError('"label_config" must be a text: the project\'s labeling config.')
    project = project or (tasks[0].get("project") if tasks else None)
    predictor = Predictor(services().settings, config, project_name(project) if project else None)
    return jsonify(results=predictor.predict(tasks), model_version=predictor.model_version_in_use())


@blueprint.route("/versions", methods=["GET", "POST"])
def versions() -> Response:
    """Names of the stored versions of `project`."""
    # Label Studio sends GET without a body or project, and gets an empty list.
    body = any_json()
    uid = request.args.get("project") or (body.get("project") if isinstance(body, dict) else None)
    return jsonify(versions=stores_of(services().settings).get(project_uid(uid)).versions() if uid else [])


@blueprint.post("/validate")
def validate() -> Response:
    """Whether a labeling config (`config`) can be learnt from, and what to know about it; 422 says why not."""
    try:
        found = read_label_config(required_text(json_body(), "config"))
    except ChoicesToCome as exc:  # connect first, import later
        return jsonify(status="ok", warnings=[str(exc)], notes=[])
    return jsonify(status="ok", warnings=list(found.warnings), notes=list(found.notes))


@blueprint.post("/delete")
def delete() -> Response:
    """The backend was disconnected from a project; its versions are kept."""
    # Connecting again continues with them.
    return jsonify(status="ok", detail="versions are kept in the model folder")


@blueprint.post("/duplicate_model")
def duplicate_model() -> Response:
    """A project was copied: the copy starts without a model."""
    # It has other task ids, and trains on its own labels.
    return jsonify(status="ok", model_version=UNTRAINED)


def _tell_of_config(uid: str, predictor: Predictor) -> None:
    """Log what is worth knowing about a labeling config, once: Label Studio calls /setup whenever it looks."""
    about, told = (predictor.config_warnings, predictor.config_notes), services().told_of_config
    if told.get(uid) == about:
        return
    told[uid] = about
    for warning in predictor.config_warnings:
        log.warning("project %s: labeling config: %s", uid, warning)
    for note in predictor.config_notes:
        log.info("project %s: labeling config: %s", uid, note)


def _is_task(value: Any) -> bool:
    return isinstance(value, dict) and is_id(value.get("id")) and isinstance(value.get("data"), dict)
