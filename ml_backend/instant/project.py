"""The instant loop of one project: what an answer moves, and how that gets into Label Studio and the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from ml_backend.evaluation.agreement import answers, together
from ml_backend.instant.queue import FIRST, WORTH_IT, InstantQueue
from ml_backend.instant.served_queue import Person, Swap
from ml_backend.label_studio.answers import is_listed, read_answer
from ml_backend.label_studio.client import LabelStudioClient, task_from_row
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.models.several import target_rows
from ml_backend.store.documents import MOVES
from ml_backend.store.instant_graph import InstantGraph, read
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_reorderings import with_reordering
from ml_backend.strategies.answers import Target

MOST_AT_ONCE: Final = 2_000
"""Up to so many predictions of a project are all looked up at once; with more, each when its task is to be moved.

Replaced orders stay for an hour. Listing the predictions of all of them takes Label Studio seconds at each new order,
and Submits wait; finding the few that are moved takes less (docs/benchmarks/waiting.md).
"""


@dataclass(frozen=True)
class Answer:
    """What somebody answered."""

    task: int
    label: str | None
    """The answer to the first question, a set of labels as its text; None if it was left open or the task skipped."""
    person: Person
    others: Mapping[str, str] = field(default_factory=dict)
    """The labels of the other answers, by their controls."""


class InstantProject:
    """One queue, its graph, and the answers since it was made. Not safe to share between threads.

    Args:
        store: the project's.
        found: what the round left behind for the queue that is served.
        worth_it: see `InstantQueue`.
    """

    def __init__(self, store: ProjectStore, found: InstantGraph, *, worth_it: float = WORTH_IT) -> None:
        self.name = found.queue
        """The queue's."""
        self.answers = 0
        """Answers taken in so far."""
        self.moved = 0
        """Tasks moved to the front so far."""
        self.moved_late = 0
        """Those of them that were moved only after the answer came."""
        self._store = store
        self._project = int(store.uid.split(".")[0])
        self._since = found.newest
        self._question = found.question
        self._others = {question.control: question for question, _ in found.others}
        predictions = store.queue(found.queue).predictions
        graphs = {question.control: graph for question, graph in found.others}
        self._queue = InstantQueue(found.graph, found.task_ids, predictions, worth_it=worth_it, others=graphs)
        self._half_done: list[Swap] = []
        """Swaps whose second task still has to be moved."""
        self._predictions: dict[int, int] = {}
        """Task → the id of its prediction."""

    def take_over(self, before: InstantProject) -> None:
        """Take over from the previous queue who has which task open."""
        self._queue.take_over(before._queue)

    def keep_in_place(self, unwanted: Collection[int]) -> None:
        """From now on move none of these tasks; tasks that were named before may move again."""
        self._queue.keep_in_place(unwanted)

    def answer_in(self, annotation: Mapping[str, Any]) -> Answer | None:
        """The answer in an event's annotation; None if it is malformed, or answers another question."""
        try:
            task, person, skipped = annotation["task"], annotation.get("completed_by"), annotation.get("was_cancelled")
            labels = {} if skipped else self._labels(lambda asked: read_answer(annotation["result"], asked).label)
        except (KeyError, TypeError, AttributeError):
            return None
        if not isinstance(task, int) or not (skipped or labels):
            return None
        return Answer(task, labels.pop(FIRST, None), person if isinstance(person, int) else None, labels)

    def _labels(self, read: Callable[[ChoiceQuestion], str | None]) -> dict[str, str]:
        """The answers that can be learnt from, by their questions' controls."""
        asked = {FIRST: self._question, **self._others}
        found = {name: (question, read(question)) for name, question in asked.items()}
        return {
            name: label for name, (question, label) in found.items() if label is not None and is_listed(label, question)
        }

    def catch_up(self, client: LabelStudioClient) -> bool:
        """Read the answers since the round or the last call that no webhook reported here; whether there were any.

        Raises:
            LabelStudioError: Label Studio failed.
        """
        told = False
        for page in client.changed_tasks(self._project, self._since):
            for row in page:
                self._since = max(self._since, row["updated_at"])
                answer = self._answer_in(row)
                told |= answer is not None and self.take_in(answer)
        return told

    def _answer_in(self, row: Mapping[str, Any]) -> Answer | None:
        task = task_from_row(row)
        if not task.annotations:
            return None

        def agreed(asked: ChoiceQuestion) -> str | None:
            read = (replace(each, label=read_answer(each.result, asked).label) for each in task.annotations)
            return together(answers(read), sets=asked.multiple)

        labels = {} if task.is_skipped else self._labels(agreed)
        if not (labels or task.is_skipped):
            return None
        return Answer(task.id, labels.pop(FIRST, None), task.annotations[-1].annotator, labels)

    def take_in(self, answer: Answer) -> bool:
        """Learn one answer; returns whether it was new."""
        target = None if answer.label is None else _target(answer.label, self._question)
        others = {name: _target(label, self._others[name]) for name, label in answer.others.items()}
        news = self._queue.take_in(answer.task, target, answer.person, others)
        self.answers += news
        return news

    def serve(self, person: Person, client: LabelStudioClient) -> None:
        """Make sure that the task which this person gets now is chosen with all answers in mind.

        Raises:
            LabelStudioError: Label Studio failed; the order is as it was.
        """
        swap = self._queue.swap()
        if swap is not None:
            self._move(swap, client)
            self.moved_late += 1
        self._queue.give(person)

    def prepare(self, person: Person, client: LabelStudioClient) -> None:
        """Move the task that comes next if this person answers as expected, and finish half-done swaps.

        Mostly they do, or the answer makes no difference; then nothing has to be moved while they wait.

        Raises:
            LabelStudioError: Label Studio failed. StoreError: the moves could not be noted.
        """
        self._finish(client)
        swap = self._queue.swap(after=self._queue.open_task(person))
        if swap is not None:
            self._move(swap, client)
            self._finish(client)

    def _move(self, swap: Swap, client: LabelStudioClient) -> None:
        client.score_prediction(self._prediction(swap.raised, client), swap.to)
        self._queue.score(swap.raised, swap.to)
        self._queue.swap_purposes(swap)
        self._half_done.append(swap)
        self.moved += 1

    def _finish(self, client: LabelStudioClient) -> None:
        """Move the second task of each swap to where the first one came from, and note both."""
        while self._half_done:
            swap = self._half_done[0]
            client.score_prediction(self._prediction(swap.demoted, client), swap.back)
            self._queue.score(swap.demoted, swap.back)
            del self._half_done[0]
            self._note(swap)

    def _note(self, swap: Swap) -> None:
        scores = {swap.raised: swap.to, swap.demoted: swap.back}
        self._store.edit_document(MOVES, lambda content: with_reordering(content, self.name, scores, swap.raised))

    def look_up(self, client: LabelStudioClient) -> None:
        """Find the queue's predictions in Label Studio before anybody has to wait for one.

        Raises:
            LabelStudioError: Label Studio failed.
        """
        if sum(client.prediction_versions(self._project).values()) <= MOST_AT_ONCE:
            rows = client.predictions(self._project)
            self._predictions = {row["task"]: row["id"] for row in rows if row["model_version"] == self.name}

    def _prediction(self, task: int, client: LabelStudioClient) -> int:
        if task not in self._predictions:
            self._predictions[task] = client.prediction_id(task, self.name)
        return self._predictions[task]


def _target(label: str, question: ChoiceQuestion) -> Target:
    (target,) = target_rows([label], question.labels, multiple=question.multiple)
    return np.asarray(target) if question.multiple else int(target)


def open_instant(store: ProjectStore, *, worth_it: float = WORTH_IT) -> InstantProject | None:
    """The instant loop of the queue that is served now; None if its round left nothing for it.

    Raises:
        StoreError: something stored is damaged.
    """
    found = read(store.folder)
    if found is None or found.queue != store.current().queue:
        return None
    return InstantProject(store, found, worth_it=worth_it)
