"""Predictions for any project with one choice question, by the model that its annotators are served with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ml_backend import hardware
from ml_backend.config import ProjectSettings, Settings
from ml_backend.draws import Ids
from ml_backend.encoders import feature_store, folders
from ml_backend.errors import ChoicesToCome, LabelConfigError, LabelStudioError, StoreError
from ml_backend.fetching.budget import Budget
from ml_backend.label_studio.config_options import option_fields
from ml_backend.label_studio.connection import make_fetcher
from ml_backend.label_studio.foreign import foreign_row
from ml_backend.label_studio.labeling_config import ChoiceQuestion, LabelingConfig, parse_label_config
from ml_backend.label_studio.layout import read_layout
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.publishing import prediction_row
from ml_backend.label_studio.queue_names import NO_MODEL
from ml_backend.models.base import Model
from ml_backend.models.reading import ItemReader, reader_of
from ml_backend.records import Prediction, Queue, Task, Wanted
from ml_backend.rounds.asked import read_asked, with_options
from ml_backend.rounds.from_settings import LIBRARY, client_of
from ml_backend.rounds.item_reading import Examples, read_items
from ml_backend.rounds.predicted.wanted import by_predictions
from ml_backend.rounds.question_scores import guesses_beside, scored_by_heads, with_mean
from ml_backend.selection.ordering import after_queue, served_score
from ml_backend.selection.scoring import Scores, score_items
from ml_backend.store.heads import Head
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.queue_overrides import read as read_overrides
from ml_backend.store.registry import stores_of
from ml_backend.store.served_model import ServedModels
from ml_backend.store.versions import answers
from ml_backend.strategies.mixture import itemwise

log = logging.getLogger(__name__)
SERVED = ServedModels(LIBRARY)
UNTRAINED = NO_MODEL
"""Version reported before a first round."""
FETCH_SECONDS = 20.0
"""That one call may spend on fetching images: Label Studio waits for it."""
SERVED_LAST = 1.0
"""Score of a task that cannot be scored: Label Studio shows it after all others."""


class Predictor:
    """Predicts for one project, with the project's own model.

    Which kind of model is read from the labeling config: what its question is about (`labeling_config`).

    Args:
        settings: the installation's.
        label_config: the project's labeling config; None: the one that was stored with the model.
        project: the project's id, or its unique id as Label Studio sends it (``7.1700000000``); None: the one that
            the tasks name.
        wanted: which question is learnt; None: as the project's settings have it.
        params: the project's extra params; None: those that are stored.

    Raises:
        LabelConfigError: the labeling config asks something else, and no other model's predictions order the project.
    """

    def __init__(
        self,
        settings: Settings,
        label_config: str | None = None,
        project: str | None = None,
        wanted: Wanted | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        hardware.use(settings.hardware())
        feature_store.use(settings.model_dir)
        folders.allow(folders.parse_folders(settings.encoder_folders))
        self.project = project
        self._label_config = label_config or ""
        number = project.split(".", 1)[0] if project else None
        self.config_warnings: tuple[str, ...] = ()
        """What to know about the labeling config when a project is connected."""
        self.config_notes: tuple[str, ...] = ()
        """What of it is not learnt."""
        config = self._read(label_config, number, wanted, params) if label_config else None
        self.question: ChoiceQuestion | None = config.question if config else None
        self._others = config.others if config else None
        if config:
            self.config_warnings, self.config_notes = config.warnings, config.notes

    def _read(
        self, xml: str, number: str | None, wanted: Wanted | None, params: Mapping[str, Any] | None
    ) -> LabelingConfig | None:
        """The config, where it can be learnt from; None where nobody learns from it, or not before there are tasks."""
        store = self._store(())
        changes = params if params is not None else store.extra_params() if store else {}
        wanted = wanted or Wanted.of(changes)
        try:
            if number and option_fields(xml):
                wanted = with_options(client_of(self.settings), int(number), xml, store, wanted)
            return read_asked(xml, number, store, wanted)
        except ChoicesToCome as exc:
            self.config_warnings = (str(exc),)
            return None
        except LabelConfigError:
            if not by_predictions(self.settings.project_settings(changes, where=f"Project {number}")):
                raise
            read_layout(xml, project=number)
            return None

    def predict(self, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One prediction per task: the winning label, its probability, and the score that orders the queue.

        A task that cannot be read, and every task before a first model, gets an empty result and is served last.
        Evaluation tasks are served last too, without a guess: uncertainty must not choose what is measured on, and a
        guess that is shown leads the answer that measures it. So are, with one, those that somebody dropped.

        Args:
            tasks: tasks as Label Studio sends them.
        """
        store = self._store(tasks)
        if store is None or not tasks:
            return [self._unknown(UNTRAINED) for _ in tasks]
        current = self._current(store)
        name = current.queue or UNTRAINED
        if current.version is None:
            rows = _as_published(store.queue(name)) if current.queue else {}
            return [rows.get(task["id"]) or self._unknown(name) for task in tasks]
        question = self.question or store.noted_question() or parse_label_config(self._label_config)
        manifest, model = SERVED.load(store, current.version, question)
        if not answers(manifest, question):
            log.warning("project %s: %s answers another question than is asked now", store.uid, manifest.name)
            return [self._unknown(name) for _ in tasks]
        return self._predict(tasks, store, store.queue(name), question, (manifest, model))

    def _predict(
        self,
        rows: Sequence[Mapping[str, Any]],
        store: ProjectStore,
        queue: Queue,
        question: ChoiceQuestion,
        loaded: tuple[Manifest, Model],
    ) -> list[dict[str, Any]]:
        tasks = [Task(id=row["id"], data=row["data"]) for row in rows]
        settings = _queue_settings(self._project_settings(store), queue)
        ids, scores, beside = self._scored(tasks, store, queue, question, loaded, settings)
        served = served_score(scores.uncertainty, np.array(1.0))
        if not itemwise(queue.strategy):
            served = after_queue(served, max((p.score for p in queue.predictions), default=0.0))
        queued = {prediction.task_id: prediction for prediction in queue.predictions}
        rows_by_id = {}
        held_out = {task.id for task in tasks if task.is_evaluation}
        last = held_out | set(read_overrides(store).dropped)
        for position, task_id in enumerate(ids.tolist()):
            # A queued task keeps the score it was published with: asking again must not change the order.
            place = queued.get(task_id)
            score = SERVED_LAST if task_id in last else place.score if place else float(served[position])
            guess = None if loaded[0].guesses else scores.guess(position, question.labels)
            prediction = Prediction(task_id, guess, float(scores.confidence[position]), score)
            prediction = replace(prediction, picked_by=place.picked_by if place else "", besides=beside.get(task_id))
            guesses = settings.prelabel and task_id not in held_out
            rows_by_id[task_id] = prediction_row(prediction, question, queue.name, prelabel=guesses)
        return [rows_by_id.get(task.id, self._unknown(queue.name)) for task in tasks]

    def _scored(
        self,
        tasks: Sequence[Task],
        store: ProjectStore,
        queue: Queue,
        question: ChoiceQuestion,
        loaded: tuple[Manifest, Model],
        settings: ProjectSettings,
    ) -> tuple[Ids, Scores, Mapping[int, Sequence[Mapping[str, Any]]]]:
        """The tasks that can be read, what is thought of them, and the guesses to the questions beside the first."""
        manifest, model = loaded
        reader = reader_of(type(model), manifest.training.get("hyperparameters", {}))
        if question.has_numbers:
            reader = replace(reader, length=int(manifest.config.get("dimensions", 0)))
        budget = Budget(FETCH_SECONDS, what="one prediction")
        media = MediaReader(client_of(self.settings), fetcher=make_fetcher(self.settings), budget=budget)
        examples = read_items(tasks, question, reader, media)
        for task_id in examples.left_out:  # the reason may quote the task: a sync's report tells it, no log
            log.warning("project %s: task %s cannot be read and is served last", store.uid, task_id)

        def read(head: Head, its: ItemReader) -> Examples:
            alike = (its.name, its.length) == (reader.name, reader.length)
            return examples if alike else read_items(tasks, head.question, its, media)

        ids, scores = examples.task_ids, score_items(model, examples.items, examples.task_ids, settings)
        said = scored_by_heads(self._heads(store, queue), read, settings)
        if said and itemwise(queue.strategy) and all(np.array_equal(each.task_ids, ids) for each in said):
            scores = with_mean(scores, float(settings.question_weights.get(question.control, 1.0)), said)
        return ids, scores, guesses_beside(said)

    def _heads(self, store: ProjectStore, queue: Queue) -> tuple[Head, ...]:
        """What answers the questions beside the first, those that are still asked."""
        try:
            heads = LIBRARY.heads(store, queue.name)
        except StoreError as exc:  # the first question is answered without them
            log.warning("project %s: the other questions are not guessed: %s", store.uid, exc)
            return ()
        return heads if self._others is None else tuple(head for head in heads if head.question in self._others)

    def model_version_in_use(self) -> str:
        """The served queue's name: what predictions are written under."""
        store = self._store(())
        current = self._current(store) if store else None
        return (current.queue if current else None) or UNTRAINED

    def _store(self, tasks: Sequence[Mapping[str, Any]]) -> ProjectStore | None:
        if self.project and "." in self.project:
            return stores_of(self.settings).get(self.project)
        project_id = self.project or (tasks[0].get("project") if tasks else None)
        return stores_of(self.settings).open(int(project_id)) if project_id else None

    def _current(self, store: ProjectStore) -> Current:
        """What annotators get now. Label Studio is asked only where a publication is under way, or was cut off."""
        if store.announced() is None or (client := client_of(self.settings)) is None:
            return store.current()
        try:
            return store.served(client.project(int(store.uid.split(".", 1)[0])).model_version)
        except (LabelStudioError, ValueError):
            return store.current()

    def _project_settings(self, store: ProjectStore) -> ProjectSettings:
        return self.settings.project_defaults().override(store.extra_params(), where=f"Project {store.uid}")

    def _unknown(self, version: str) -> dict[str, Any]:
        return {"result": [], "score": SERVED_LAST, "model_version": version}


def _as_published(queue: Queue) -> dict[int, dict[str, Any]]:
    """Task id → its prediction in a queue that no version of the first question scored."""
    shown = (replace(p, result=p.besides) if p.besides else p for p in queue.predictions)
    return {p.task_id: foreign_row(p, queue.name, prelabel=queue.prelabel) for p in shown}


def _queue_settings(settings: ProjectSettings, queue: Queue) -> ProjectSettings:
    """The settings that a queue was scored with, so that new tasks are scored alike."""
    changes: dict[str, Any] = {"strategy": queue.strategy, "seed": queue.seed}
    if queue.samples > 1:
        changes["samples"] = queue.samples
    return settings.override(changes, where=f"Queue {queue.name}")
