"""Run the rounds that the ML backend puts into Redis: one worker process, as many of them as you like."""

from __future__ import annotations

from ml_backend.cli.common import new_app, tell_errors
from ml_backend.errors import ConfigurationError
from ml_backend.extras import require

app = new_app()


@app.command()
@tell_errors
def main() -> None:
    """Run rounds from the Redis at REDIS_URL until stopped. Settings are those of the ML backend."""
    from ml_backend.config import load_settings

    settings = load_settings()
    if settings.redis_url is None:
        raise ConfigurationError(
            "REDIS_URL is not set: there is no queue to work on. The backend alone needs no worker."
        )
    rq = require("A worker", "redis", "rq")
    import redis

    import ml_backend.pool.round_requests  # noqa: F401 - once here, so that each round's forked process has it already
    from ml_backend.jobs.redis_jobs import RoundJob, RoundWorker, WorkerData
    from ml_backend.jobs.redis_queue import QUEUE_NAME
    from ml_backend.logs import configure_logging, library_level

    configure_logging(settings)
    connection = redis.Redis.from_url(settings.redis_url.get_secret_value())
    try:
        connection.ping()
    except redis.RedisError as exc:
        raise ConfigurationError(f"No Redis answers at REDIS_URL ({exc}). Start it, or correct the setting.") from exc
    queue = rq.Queue(QUEUE_NAME, connection=connection, serializer=WorkerData, job_class=RoundJob)
    worker = RoundWorker([queue], connection=connection, serializer=WorkerData, job_class=RoundJob)
    worker.work(logging_level=library_level(settings))
