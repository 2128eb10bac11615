"""The connector's HTTP contract: what Label Studio calls, answered for many projects at once."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Flask

from ml_backend.config import Settings
from ml_backend.dashboard.app import add_dashboard
from ml_backend.errors import RoundProcessDied
from ml_backend.extras import require
from ml_backend.instant.loop import InstantLoop
from ml_backend.jobs.job import Rounds
from ml_backend.jobs.lane import Lane
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.jobs.process import RoundProcess, StartMethod
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.label_studio.webhook_secret import HEADER, read_webhook_secret
from ml_backend.pool.round_requests import run_request
from ml_backend.rounds.record import record_lost_round
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.registry import stores_of
from ml_backend.web import connector
from ml_backend.web import rounds as round_routes
from ml_backend.web.auth import Doorkeeper, add_auth
from ml_backend.web.errors import add_error_handlers
from ml_backend.web.headers import add_security_headers
from ml_backend.web.limits import LARGE_BODY
from ml_backend.web.metrics import add_metrics
from ml_backend.web.projects import KnownProjects
from ml_backend.web.services import Services


def create_app(
    settings: Settings,
    *,
    rounds: Rounds | None = None,
    scheduler: Scheduler | None = None,
    instant: InstantLoop | None = None,
    doorkeeper: Doorkeeper | None = None,
    projects: KnownProjects | None = None,
) -> Flask:
    """The backend as a WSGI application.

    Basic auth is asked for where both halves are configured, on every route but ``/`` and ``/health``; ``/webhook``
    takes the webhook's own secret instead.

    Args:
        settings: the installation's.
        rounds: where rounds are asked for; default: what the settings say.
        scheduler: hears of changes, and starts rounds once its owner has started it. Without it, only START_TRAINING
            starts rounds.
        instant: hears of answers, and moves what comes next once its owner has started it.
        doorkeeper: decides who may ask; default: what the settings say.
        projects: tells made-up projects from real ones; default: Label Studio does.
    """
    app = Flask("ml_backend", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGE_BODY
    rounds = rounds or make_rounds(settings)
    Services(settings, rounds, projects or KnownProjects(settings), scheduler, instant).attach(app)
    add_security_headers(app)
    add_metrics(app, stores_of(settings))
    add_auth(app, doorkeeper or make_doorkeeper(settings), HEADER)
    app.register_blueprint(connector.blueprint)
    app.register_blueprint(round_routes.blueprint)
    add_error_handlers(app)
    add_dashboard(app, settings, rounds, scheduler)
    return app


def make_doorkeeper(settings: Settings) -> Doorkeeper:
    """Who may ask, according to the settings. The webhook's secret is read at each request, because it may change."""
    return Doorkeeper(settings, webhook_secrets=lambda: read_webhook_secret(settings).all)


def make_rounds(settings: Settings) -> Rounds:
    """Where rounds run: in workers behind Redis if REDIS_URL is set, otherwise in processes beside this one."""
    if settings.redis_url is not None:
        require("REDIS_URL", "redis", "rq")
        from ml_backend.jobs.redis_queue import RedisRoundQueue

        return RedisRoundQueue(settings.redis_url.get_secret_value(), limit=settings.round_seconds)
    first, *more = (_lane(settings) for _ in range(settings.round_processes))
    quick = _lane(settings, quick=True)
    return LocalRoundQueue(first.run, close=first.close, cancel=first.cancel, more=(*more, quick))


def _lane(settings: Settings, *, quick: bool = False) -> Lane:
    """A process for rounds; if it dies, the round is recorded as lost."""
    process = make_round_process(settings)

    def run(request: RoundRequest) -> dict[str, Any]:
        started = datetime.now(UTC)
        try:
            result: dict[str, Any] = process.run(request)
        except RoundProcessDied as exc:
            record_lost_round(stores_of(settings), request, started=started, error=exc)
            raise
        return result

    return Lane(run, cancel=process.cancel, rest=process.rest, close=process.close, quick=quick)


def make_round_process(settings: Settings, *, method: StartMethod = "spawn") -> RoundProcess:
    """A process that runs the rounds that it is asked for."""
    run = partial(run_request, settings=settings)
    return RoundProcess(run, limit=settings.round_seconds, method=method)
