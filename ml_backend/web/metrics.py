"""`/metrics` for Prometheus: what the stores say about every project, and how this process answers requests.

The projects' figures are read from the stores at each scrape, so every replica reports the same, including rounds that
ran elsewhere. Projects are identified by their id, never by their title.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from time import perf_counter
from typing import Any, Final

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ml_backend.errors import ActiveLearningError
from ml_backend.rounds.log import rounds
from ml_backend.rounds.tally import Tally, tally
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.registry import StoreRegistry

log = logging.getLogger(__name__)
PREFIX: Final = "active_learning_"
OUTCOMES: Final = ("trained", "reordered", "unchanged", "failed")
GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "store_readable": ("Whether the project's store can be read: 1 or 0", ()),
    "logged_rounds": ("Rounds in the project's log, which keeps the last 1,000, by outcome", ("outcome",)),
    "failed_rounds_in_a_row": ("Rounds that failed since the last one that did not", ()),
    "seconds_since_good_round": ("Seconds since the last round that did not fail ended", ()),
    "last_round_seconds": ("Duration of the last round", ()),
    "last_round_step_seconds": ("Duration of each finished step of the last round", ("step",)),
    "labels": ("Training labels; where this machine has no copy of the tasks, those of the last good round", ()),
    "open_tasks": ("Tasks that still want a label; likewise", ()),
    "queue_tasks": ("Tasks in the served order", ()),
    "stored_versions": ("Stored model versions", ()),
    "version_number": ("Number of the served model version; 0 before a first one", ()),
    "version_pinned": ("Whether the served version is pinned: 1 or 0", ()),
    "version_held_back": ("Whether the newest version is kept back because it is clearly worse: 1 or 0", ()),
    "accuracy": ("Accuracy of the served version on the evaluation tasks", ()),
    "f_score_macro": ("Macro F-score of the served version on the evaluation tasks", ()),
    "f_score_positive": ("F-score of the rare class of the served version on the evaluation tasks", ()),
    "auc": ("Area under the ROC curve of the served version on the evaluation tasks", ()),
    "calibration_error": ("Expected calibration error of the served version on the evaluation tasks", ()),
}
"""Name without prefix → help text, and labels in addition to ``project``."""
MEASURES: Final = {
    "accuracy": "accuracy",
    "f_score_macro": "f_macro",
    "f_score_positive": "f_positive",
    "auc": "auc",
    "calibration_error": "ece",
}
"""Gauge → field of `metrics.Metrics`."""
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0)
"""Seconds. Label Studio waits 1 for /health and webhooks, 3 for /setup, 100 for /predict."""
UNKNOWN_ROUTE: Final = "unknown"
"""One name for all paths that do not exist, so that made-up ones cannot fill Prometheus."""

Sample = tuple[str, tuple[str, ...], float]
"""Gauge, its labels in addition to ``project``, value."""


def add_metrics(app: Flask, stores: StoreRegistry) -> CollectorRegistry:
    """Serve ``/metrics`` and time all requests. Call this before other handlers are added."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(stores, lambda: datetime.now(UTC)))
    latency = Histogram(
        f"{PREFIX}http_request_seconds",
        "Time to answer a request; its count is the number of requests",
        ("method", "route", "status"),
        buckets=BUCKETS,
        registry=registry,
    )

    @app.before_request
    def start_clock() -> None:
        g.started = perf_counter()

    @app.after_request
    def stop_clock(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else UNKNOWN_ROUTE
        method = request.method if request.url_rule else UNKNOWN_ROUTE
        latency.labels(method, route, str(response.status_code)).observe(perf_counter() - g.started)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        """Figures of all projects and requests, for Prometheus."""
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return registry


class StoreCollector(Collector):
    """Reads the stores at each scrape."""

    def __init__(self, stores: StoreRegistry, now: Callable[[], datetime]) -> None:
        self._stores = stores
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """All gauges of all projects. A store that cannot be read omits its own."""
        families = {
            name: GaugeMetricFamily(PREFIX + name, told, labels=("project", *labels))
            for name, (told, labels) in GAUGES.items()
        }
        for project_id, store in self._stores.known().items():
            try:
                samples = project_samples(store, self._now())
            except (ActiveLearningError, OSError, ValueError, TypeError, KeyError) as exc:
                log.warning("project %s: its store cannot be read for /metrics (%s)", project_id, type(exc).__name__)
                samples = [("store_readable", (), 0.0)]
            for name, labels, value in samples:
                families[name].add_metric((str(project_id), *labels), value)
        yield from families.values()


def project_samples(store: ProjectStore, now: datetime) -> list[Sample]:
    """The samples of one project, from its store.

    Raises:
        StoreError: something in it is damaged.
        OSError, ValueError, TypeError, KeyError: its round log is damaged.
    """
    current, versions = store.current(), store.versions()
    served = store.manifest(current.version) if current.version else None
    samples: list[Sample] = [
        ("store_readable", (), 1.0),
        ("queue_tasks", (), len(store.queue(current.queue).predictions) if current.queue else 0.0),
        ("stored_versions", (), len(versions)),
        ("version_number", (), served.number if served else 0.0),
        ("version_pinned", (), float(current.pinned is not None)),
        ("version_held_back", (), float(bool(versions) and not store.manifest(versions[-1]).promoted)),
    ]
    return samples + _measures(served) + _round_samples(rounds(store), now, tally(store))


def _measures(served: Manifest | None) -> list[Sample]:
    found = (served and served.metrics) or {}
    return [(name, (), float(found[field])) for name, field in MEASURES.items() if found.get(field) is not None]


def _round_samples(lines: Sequence[Mapping[str, Any]], now: datetime, counted: Tally | None) -> list[Sample]:
    counts = Counter(map(outcome, lines))
    samples: list[Sample] = [("logged_rounds", (name,), counts[name]) for name in OUTCOMES]
    failed = sum(1 for _ in takewhile(lambda line: line["error"], reversed(lines)))
    samples.append(("failed_rounds_in_a_row", (), failed))
    good = [line for line in lines if not line["error"]]
    if lines:
        last = lines[-1]
        samples.append(("last_round_seconds", (), (_time(last["ended"]) - _time(last["started"])).total_seconds()))
        seconds: Counter[str] = Counter()
        for step in last["steps"]:
            seconds[step["name"]] += step["seconds"]
        samples += [("last_round_step_seconds", (name,), value) for name, value in seconds.items()]
    if good:
        samples.append(("seconds_since_good_round", (), (now - _time(good[-1]["ended"])).total_seconds()))
    if counted is not None:
        return [*samples, ("open_tasks", (), counted.open), ("labels", (), counted.labels)]
    if good and "open_tasks" in good[-1]:  # missing in lines from older releases
        samples.append(("open_tasks", (), good[-1]["open_tasks"]))
    labels = next((line["labels"] for line in reversed(good) if line.get("labels")), 0)
    return [*samples, ("labels", (), labels)]


def outcome(line: Mapping[str, Any]) -> str:
    """The outcome of a logged round, one of `OUTCOMES`."""
    if line["error"]:
        return "failed"
    if line.get("trained"):
        return "trained"
    return "reordered" if line.get("published", bool(line.get("queue"))) else "unchanged"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
