"""The ML backend in label-studio-ml's shape: ``predict`` and ``fit`` for any project with one choice question."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ml_backend import hardware
from ml_backend.config import ProjectSettings, Settings, load_settings
from ml_backend.errors import ActiveLearningError, ConfigurationError, LabelStudioError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import make_client
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.publishing import prediction_row
from ml_backend.records import Prediction, Queue, Task
from ml_backend.rounds.examples import read_items
from ml_backend.rounds.extra_params import change_params
from ml_backend.rounds.log import record_lost_round, record_round
from ml_backend.rounds.options import ORDINARY, RoundOptions
from ml_backend.rounds.run import Workspace
from ml_backend.selection.ordering import after_queue, served_score
from ml_backend.selection.scoring import score_items
from ml_backend.store.library import ModelLibrary
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.queue_overrides import read as read_wishes
from ml_backend.store.registry import stores_of
from ml_backend.strategies.mixture import itemwise

with warnings.catch_warnings():
    # label-studio-tools, which it imports, has an invalid escape sequence: a warning whenever it is first compiled.
    warnings.simplefilter("ignore")
    from label_studio_ml.model import LabelStudioMLBase

log = logging.getLogger(__name__)
UNTRAINED = "untrained"
"""Version reported before a first round."""
ROUND_PATIENCE = 30.0
"""Seconds that a round waits for another one of the project, on whatever machine, before it fails."""
SERVED_LAST = 1.0
"""Score of a task that cannot be scored: Label Studio shows it after all others."""
LIBRARY = ModelLibrary()
"""Shared by all instances: label-studio-ml makes a new backend object for every request."""


class ActiveLearningBackend(LabelStudioMLBase):  # type: ignore[misc]
    """Predicts with, and trains, the project's own model.

    Which model is read from the labeling config: ``<Choices>`` over an ``<Image>`` or over a ``<Text>``. It runs in
    this product's server and in label-studio-ml's ``init_app(ActiveLearningBackend)`` alike.

    Raises:
        LabelConfigError: the labeling config asks something else.
    """

    def __init__(
        self,
        label_config: str | None = None,
        train_output: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        project_uid: str | None = None,
        **kwargs: Any,
    ) -> None:
        # The base class parses the config too, with its own parser and without our explanations: not called with it.
        super().__init__(label_config=None, train_output=train_output, **kwargs)
        self.label_config = label_config
        self.settings = settings or load_settings()
        hardware.use(self.settings.hardware())
        self.project_uid = project_uid
        self.question: ChoiceQuestion | None = (
            parse_label_config(label_config, project=_project_id(project_uid)) if label_config else None
        )

    def predict(self, tasks: Sequence[Mapping[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:
        """One prediction per task: the winning label, its probability, and the score that orders the queue.

        A task that cannot be read, and every task before a first model, gets an empty result and is served last.
        So are evaluation tasks: uncertainty must not choose what is measured on. And those that somebody dropped.

        Args:
            tasks: tasks as Label Studio sends them.
            kwargs: what Label Studio adds (``context``, ``login``); not used.
        """
        del kwargs
        store = self._store(tasks)
        if store is None or not tasks:
            return [self._unknown(UNTRAINED) for _ in tasks]
        current = self._current(store)
        name = current.queue or UNTRAINED
        if current.version is None:
            queued = {p.task_id: p for p in store.queue(name).predictions} if current.queue else {}
            return [
                {"result": [], "score": queued[t["id"]].score, "model_version": name}
                if t["id"] in queued
                else self._unknown(name)
                for t in tasks
            ]
        manifest = store.manifest(current.version)
        question = self.question or parse_label_config(self.label_config or "")
        if question.labels != manifest.labels:
            log.warning("project %s: labels changed since %s was trained", store.uid, current.version)
            return [self._unknown(name) for _ in tasks]
        return self._predict(tasks, store, store.queue(name), question)

    def _predict(
        self, rows: Sequence[Mapping[str, Any]], store: ProjectStore, queue: Queue, question: ChoiceQuestion
    ) -> list[dict[str, Any]]:
        model = LIBRARY.load(store, queue.version or "")
        tasks = [Task(id=row["id"], data=row["data"]) for row in rows]
        settings = _queue_settings(self._project_settings(store), queue)
        examples = read_items(tasks, question, type(model), MediaReader(self._client()))
        for task_id in examples.left_out:  # the reason may quote the task: a sync's report tells it, no log
            log.warning("project %s: task %s cannot be read and is served last", store.uid, task_id)
        scores = score_items(model, examples.items, examples.task_ids, settings)
        queued = {prediction.task_id: prediction for prediction in queue.predictions}
        served = served_score(scores.uncertainty, np.array(1.0))
        if not itemwise(queue.strategy):
            served = after_queue(served, max((p.score for p in queue.predictions), default=0.0))
        rows_by_id = {}
        last = {task.id for task in tasks if task.is_evaluation} | set(read_wishes(store).dropped)
        for position, task_id in enumerate(examples.task_ids.tolist()):
            # A queued task keeps the score it was published with: asking again must not change the order.
            place = queued.get(task_id)
            score = SERVED_LAST if task_id in last else place.score if place else float(served[position])
            guess, confidence = question.labels[scores.winner[position]], float(scores.confidence[position])
            prediction = Prediction(task_id, guess, confidence, score, place.picked_by if place else "")
            rows_by_id[task_id] = prediction_row(prediction, question, queue.name, prelabel=settings.prelabel)
        return [rows_by_id.get(task.id, self._unknown(queue.name)) for task in tasks]

    def fit(self, tasks: Iterable[Any] = (), workdir: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Run one round for the project named in ``kwargs["data"]``: train, judge, publish a new queue.

        The labels are read from Label Studio; ``tasks`` and the event's own payload are not trusted and not used.

        Returns:
            JSON-able summary: version, queue, metrics, warnings.

        Raises:
            ConfigurationError: no project named, or no token to read Label Studio with.
        """
        del tasks, workdir
        data = kwargs.get("data") or {}
        project = data.get("project") or {}
        project_id = project.get("id") if isinstance(project, Mapping) else project
        project_id = project_id or _project_id(self.project_uid)
        if not project_id:
            raise ConfigurationError("No project named: fit(data={'project': {'id': N}}) is how Label Studio calls it.")
        client = self._client()
        if client is None:
            raise ConfigurationError("No token to read labels with: set LABEL_STUDIO_API_KEY for the backend.")
        trigger, options = str(kwargs.get("trigger") or "asked"), kwargs.get("options") or ORDINARY
        if options.changes:
            self._change_params(client, int(project_id), options.changes, trigger)
        report = record_round(
            workspace(self.settings, client),
            int(project_id),
            trigger=trigger,
            patience=ROUND_PATIENCE,
            train=options.train,
            pin=options.pin,
            unpin=options.unpin,
            fit_random=options.train,
            draw_map=True,
        )
        return {
            "version": report.version,
            "queue": report.queue.name if report.queue else None,
            "metrics": report.metrics,
            "warnings": report.warnings,
            "steps": [asdict(step) for step in report.steps],
        }

    def _change_params(
        self, client: LabelStudioClient, project_id: int, changes: Mapping[str, Any], trigger: str
    ) -> None:
        """Before the round, which is to run under them; where that fails, so does the round."""
        started = datetime.now(UTC)
        try:
            change_params(self.settings, client, project_id, changes)
        except ActiveLearningError as exc:
            record_lost_round(stores_of(self.settings), project_id, trigger=trigger, started=started, error=exc)
            raise

    def model_version_in_use(self) -> str:
        """The served queue's name: what predictions are written under."""
        store = self._store(())
        current = self._current(store) if store else None
        return (current.queue if current else None) or UNTRAINED

    def _store(self, tasks: Sequence[Mapping[str, Any]]) -> ProjectStore | None:
        if self.project_uid:
            return stores_of(self.settings).get(self.project_uid)
        project_id = tasks[0].get("project") if tasks else None
        return stores_of(self.settings).open(int(project_id)) if project_id else None

    def _current(self, store: ProjectStore) -> Current:
        """What annotators get now. Label Studio is asked only where a publication is under way, or was cut off."""
        if store.announced() is None or (client := self._client()) is None:
            return store.current()
        try:
            return store.served(client.project(int(store.uid.split(".", 1)[0])).model_version)
        except (LabelStudioError, ValueError):
            return store.current()

    def _client(self) -> LabelStudioClient | None:
        try:
            return make_client(self.settings)
        except (ConfigurationError, LabelStudioError):
            return None

    def _project_settings(self, store: ProjectStore) -> ProjectSettings:
        return self.settings.project_defaults().override(store.extra_params(), where=f"Project {store.uid}")

    def _unknown(self, version: str) -> dict[str, Any]:
        return {"result": [], "score": SERVED_LAST, "model_version": version}


def run_project_round(
    project_id: int,
    trigger: str = "asked",
    options: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """One round, by default under the environment's settings: what the trainer process and RQ workers call.

    Args:
        project_id: the project in Label Studio.
        trigger: why it runs.
        options: `RoundOptions` as JSON.
        settings: the installation's.

    Raises:
        ActiveLearningError: the round failed. It carries no other error: RQ keeps and logs all texts of a chain, and
            those that are none of ours may quote a task.
    """
    backend = ActiveLearningBackend(settings=settings or load_settings())
    try:
        wanted = RoundOptions.from_json(options)
        return backend.fit((), data={"project": {"id": project_id}}, trigger=trigger, options=wanted)
    except ActiveLearningError as exc:
        raise type(exc)(str(exc)) from None
    except Exception as exc:
        raise ActiveLearningError(f"The round failed ({type(exc).__name__}); the log says where.") from None


def warm(settings: Settings) -> None:
    """Load the text models that are served now: the first guess need not wait seconds for their encoder."""
    hardware.use(settings.hardware())
    for project_id, store in stores_of(settings).known().items():
        try:
            version = store.current().version
            model = LIBRARY.load(store, version) if version else None
            if model is not None and model.object_tag == "Text":
                model.embed(["warm"])
        except ActiveLearningError as exc:  # whoever asks for a guess is told
            log.warning("project %s: the served model cannot be loaded: %s", project_id, exc)


def workspace(settings: Settings, client: LabelStudioClient) -> Workspace:
    """What rounds need, from settings; from then on this process computes as these say."""
    hardware.use(settings.hardware())
    return Workspace(
        client,
        settings.model_dir,
        settings.project_defaults(),
        LIBRARY,
        settings.keep_versions,
        timedelta(seconds=settings.keep_queues_seconds),
        stores_of(settings),
    )


def _queue_settings(settings: ProjectSettings, queue: Queue) -> ProjectSettings:
    """The settings that a queue was scored with, so that new tasks are scored alike."""
    changes: dict[str, Any] = {"strategy": queue.strategy, "seed": queue.seed}
    if queue.samples > 1:
        changes["samples"] = queue.samples
    return settings.override(changes, where=f"Queue {queue.name}")


def _project_id(uid: str | None) -> str | None:
    return uid.split(".", 1)[0] if uid else None
