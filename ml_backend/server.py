"""The connector's HTTP contract: what Label Studio calls, answered for many projects at once."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from flask_httpauth import HTTPBasicAuth
from werkzeug.exceptions import HTTPException

from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError, ConfigurationError, LabelConfigError, RoundProcessDied
from ml_backend.instant.loop import InstantLoop
from ml_backend.jobs.process import RoundProcess
from ml_backend.jobs.queue import Job, LocalRoundQueue, RedisRoundQueue, Rounds
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.predictor import UNTRAINED, Predictor
from ml_backend.rounds.extra_params import read_extra_params, set_extra_params
from ml_backend.rounds.log import record_lost_round
from ml_backend.rounds.options import RoundOptions
from ml_backend.rounds.project_round import run_project_round
from ml_backend.store.registry import stores_of
from ml_backend.web.metrics import add_metrics

log = logging.getLogger(__name__)
MAX_BODY = 256 * 1024 * 1024
"""Bytes of one request; Label Studio sends tasks with their data."""
MODEL_CLASS = "ActiveLearningBackend"
"""What Label Studio is told; label-studio-ml's own server tells the class that we have there."""
START_TRAINING = "START_TRAINING"
TAG = re.compile(r"<([^<>]*)>")
ANSWERED = "ANNOTATION_CREATED"
CHANGES_OF_LABELS = frozenset({ANSWERED, "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"})
CHANGES_OF_TASKS = frozenset({"TASKS_CREATED", "TASKS_DELETED"})
"""All other events start nothing: publishing a queue is itself a PROJECT_UPDATED."""
TRAINING_MODULES = (run_project_round.__module__, "torch._dynamo")
"""What a round needs: torch imports the second with its first optimiser step, which takes seconds."""
OPEN_ROUTES = ("health",)
"""Answered without basic auth: container health checks know no password."""


def create_app(
    settings: Settings,
    *,
    rounds: Rounds | None = None,
    scheduler: Scheduler | None = None,
    instant: InstantLoop | None = None,
) -> Flask:
    """The backend as a WSGI application.

    Basic auth is asked for where both halves are configured, on every route but ``/`` and ``/health``.

    Args:
        settings: the installation's.
        rounds: where rounds are asked for; default: what the settings say.
        scheduler: hears of changes, and starts rounds once its owner started it. Without it, only START_TRAINING does.
        instant: hears of answers, and moves what comes next once its owner started it.
    """
    app = Flask("ml_backend", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    add_metrics(app, stores_of(settings))
    rounds = rounds or make_rounds(settings)
    refuse_strangers = _basic_auth(settings)

    @app.before_request
    def authenticate() -> ResponseReturnValue | None:
        return None if request.endpoint in OPEN_ROUTES else refuse_strangers()

    @app.get("/")
    @app.get("/health")
    def health() -> Response:
        """Whether the backend is up; asks for no password."""
        return jsonify(status="UP", model_class=MODEL_CLASS)

    @app.post("/setup")
    def setup() -> Response:
        """Connect a project: check its labeling config (`schema`) and extra params, and answer the served version."""
        # The body also holds a host name and the project creator's token: neither is used, nor logged.
        body = _body()
        uid = _text(body, "project")
        predictor = Predictor(settings, _text(body, "schema"), uid)
        set_extra_params(settings, uid, read_extra_params(body.get("extra_params")))
        if predictor.question is not None:
            stores_of(settings).get(uid).note_question(predictor.question)
        return jsonify(model_version=predictor.model_version_in_use())

    @app.post("/predict")
    def predict() -> Response:
        """Predictions of `tasks` by the served version of `project`."""
        body = _body()
        tasks = body.get("tasks")
        if not isinstance(tasks, list) or not all(map(_is_task, tasks)):
            raise ConfigurationError('A /predict request needs "tasks", a list of objects with "id" and "data".')
        predictor = Predictor(settings, body.get("label_config"), str(body.get("project") or "") or None)
        return jsonify(results=predictor.predict(tasks), model_version=predictor.model_version_in_use())

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        """An event: a change is noted, an answer moves what comes next, `START_TRAINING` starts a round."""
        # Nothing is asked of Label Studio or the disk here: the annotator's "Submit" waits for this answer.
        body = _body()
        action, project_id = body.get("action"), _project_id(body.get("project"))
        if instant is not None and action == ANSWERED and project_id is not None:
            instant.heard(project_id, body.get("annotation"))
        if action != START_TRAINING:
            relevant = action in CHANGES_OF_LABELS | CHANGES_OF_TASKS if isinstance(action, str) else False
            if not relevant or scheduler is None or project_id is None:
                return jsonify(accepted=False), 200
            scheduler.changed(project_id, _label_count(body) if action in CHANGES_OF_LABELS else 0)
            return jsonify(accepted=True), 200
        if project_id is None:
            raise ConfigurationError("The training request names no project.")
        if settings.label_studio_api_key is None:
            raise ConfigurationError("The backend cannot read labels: set LABEL_STUDIO_API_KEY and restart it.")
        job = scheduler.ask(project_id) if scheduler is not None else rounds.request(project_id)
        return jsonify(job=job.id), 201

    @app.get("/status")
    def status() -> Response:
        """Per project: what is served, the last round, whether one runs, when the next starts, the last error."""
        found = scheduler.status() if scheduler is not None else {"projects": {}, "polling": None}
        for number, project in found["projects"].items():
            project["instant"] = instant.status(int(number)) if instant is not None else None
        return jsonify(found)

    @app.route("/versions", methods=["GET", "POST"])
    def versions() -> Response:
        """Names of the stored versions of `project`."""
        # Label Studio sends GET with no body and no project: it gets an empty list.
        body = request.get_json(silent=True)
        uid = request.args.get("project") or (body.get("project") if isinstance(body, dict) else None)
        return jsonify(versions=stores_of(settings).get(str(uid)).versions() if uid else [])

    @app.post("/validate")
    def validate() -> Response:
        """Whether a labeling config (`config`) can be learnt from; 422 says why not."""
        parse_label_config(_text(_body(), "config"))
        return jsonify(status="ok")

    @app.post("/job_status")
    def job_status() -> tuple[Response, int]:
        """State of the round that `job` names; 410 if it is unknown."""
        job = rounds.job(str(_body().get("job")))
        return (jsonify(_job_json(job)), 200) if job else (jsonify(error="unknown job"), 410)

    @app.get("/is_training")
    def is_training() -> Response:
        """Whether a round of `project` runs."""
        project_id = str(request.args.get("project", "0")).split(".")[0]
        return jsonify(is_training=project_id.isdecimal() and rounds.running(int(project_id)))

    @app.post("/delete")
    def delete() -> Response:
        """The backend was disconnected from a project; its versions are kept."""
        # Label Studio says so when a backend is disconnected. Versions stay: connecting again resumes with them.
        return jsonify(status="ok", detail="versions are kept in the model folder")

    @app.post("/duplicate_model")
    def duplicate_model() -> Response:
        """A project was copied: the copy starts without a model."""
        # The copied project has other task ids: it starts without a model and trains on its own labels.
        return jsonify(status="ok", model_version=UNTRAINED)

    @app.errorhandler(ActiveLearningError)
    def own_error(error: ActiveLearningError) -> Response:
        status = 422 if isinstance(error, LabelConfigError) else 400 if isinstance(error, ConfigurationError) else 503
        log.warning("%s %s: %s", request.method, request.path, error)
        return _error(status, str(error))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _error(error.code or 500, error.description or error.name)

    @app.errorhandler(Exception)
    def any_error(error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        return _error(500, "The backend failed; its log says why.")

    from ml_backend.dashboard.app import add_dashboard  # Dash takes a second: not at the start of whoever imports this

    add_dashboard(app, settings, rounds, scheduler)
    return app


def make_rounds(settings: Settings) -> Rounds:
    """Where rounds run: behind Redis where REDIS_URL is set, else in one process beside this one."""
    if settings.redis_url is not None:
        return RedisRoundQueue(settings.redis_url.get_secret_value())
    round_process = make_round_process(settings)

    def run(project_id: int, trigger: str, options: RoundOptions) -> dict[str, Any]:
        started = datetime.now(UTC)
        try:
            result: dict[str, Any] = round_process.run(project_id, trigger, options.as_json())
        except RoundProcessDied as exc:
            record_lost_round(stores_of(settings), project_id, trigger=trigger, started=started, error=exc)
            raise
        return result

    return LocalRoundQueue(run, prepare=round_process.start, close=round_process.close)


def make_round_process(settings: Settings) -> RoundProcess:
    """The process that runs rounds, given a project, a trigger and options."""
    return RoundProcess(partial(run_project_round, settings=settings), preload=TRAINING_MODULES)


def _basic_auth(settings: Settings) -> Callable[[], ResponseReturnValue | None]:
    """A check that answers None to those who may pass, else a refusal."""
    auth = HTTPBasicAuth(realm="ML backend")
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if bool(user) != bool(password):
        raise ConfigurationError("Set both BASIC_AUTH_USER and BASIC_AUTH_PASS, or neither.")

    @auth.verify_password  # type: ignore[untyped-decorator]
    def verify(given_user: str, given_password: str) -> bool:
        if not user or password is None:
            return True
        right_user = hmac.compare_digest(given_user.encode(), user.encode())
        return hmac.compare_digest(given_password.encode(), password.get_secret_value().encode()) and right_user

    @auth.error_handler  # type: ignore[untyped-decorator]
    def refused(status: int) -> Response:
        return _error(status, "Wrong or missing basic auth: set the backend's user and password in Settings > Model.")

    check: Callable[[], ResponseReturnValue | None] = auth.login_required(lambda: None)
    return check


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ConfigurationError("The request's body must be a JSON object.")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f'The request lacks "{name}".')
    return value


def _project_id(project: Any) -> int | None:
    number = project.get("id") if isinstance(project, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _label_count(body: Mapping[str, Any]) -> int:
    """How many labels an event is about, by its own account: a hint that starts nothing wrong when it is false."""
    lists = [len(value) for name in ("annotation", "annotations") if isinstance(value := body.get(name), list)]
    return max([1, *lists])


def _is_task(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), int) and isinstance(value.get("data"), dict)


def _error(status: int, message: str) -> Response:
    response = jsonify(error=message)
    # Label Studio shows its users nothing of an answer's body, only the status line's reason, and that as HTML:
    # "<Choices>" would be a tag there, and vanish.
    reason = TAG.sub(r"\1", " ".join(message.split())).replace("<", "(").encode("latin-1", "replace").decode("latin-1")
    response.status = f"{status} {reason}"
    return response


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job_status": job.status,
        "error": job.error,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "result": job.result,
    }
