"""The only place that counts answers: all pages, routes and commands get their counts from here.

It counts in the copy of the tasks on this machine (`label_studio.task_cache`). A server keeps this copy up to date
while people answer (`instant.task_reading`), and so does every round; answers that are taken back disappear from it. So
the counts are those of Label Studio a moment ago.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ml_backend.evaluation.intervals import wilson
from ml_backend.label_sets import unpack
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.task_rows import parse_time
from ml_backend.records import BULK, CONTROL, Queue, Task
from ml_backend.rounds.examples import TaskPool, answered_in_bulk, divide
from ml_backend.rounds.log import SEEN_NAME, last_seen
from ml_backend.rounds.predicted.pool import divide_answered
from ml_backend.store.documents import CURRENT, QUESTION, WISHES
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.query_log import DOCUMENT as QUERY_LOG
from ml_backend.store.query_log import QueryLogEntry, looked_up
from ml_backend.store.queue_overrides import read as read_overrides
from ml_backend.store.remembered import Remembered, stamp_of

RECENT: Final = 100
"""How many of the newest answers "recent" and live accuracy are about."""
KEPT: Final = 32
"""How many projects' last tallies are remembered."""


@dataclass(frozen=True)
class QueueTally:
    """What became of the tasks of the served queue. ``size`` is the sum of the next four counts."""

    name: str
    size: int
    answered: int
    skipped: int
    """Nobody answered, and somebody skipped."""
    waiting: int
    gone: int
    """Deleted from the project."""
    elsewhere: int
    """Tasks outside the queue that were answered since the last round that trained began."""


@dataclass(frozen=True)
class Tally:
    """What people answered so far."""

    labels: int
    """Tasks that a model can learn from: answered, with a majority for a label of the config, and not held out. In a
    project in which nothing is learnt, all answered tasks."""
    evaluation: int
    """Tasks held out for measuring that are answered in the same way."""
    held_out: int
    """Tasks held out for measuring, answered or not."""
    control: int
    """Tasks among ``labels`` that were drawn at random for measuring."""
    bulk: int
    """Tasks among ``labels`` that got theirs together with many others."""
    open: int
    """Tasks that still need an answer."""
    skipped: int
    """Tasks that still need one, but are not asked because somebody skipped them."""
    tied: int
    """Tasks that people answered, but without a majority."""
    new: int
    """Answers and skips since the last round that trained began."""
    queue: QueueTally | None
    live: Mapping[str, Mapping[str, float]]
    """See `live_accuracy`."""
    classes: Mapping[str, Mapping[str, float]]
    """See `class_shares`."""

    @property
    def numbers(self) -> dict[str, Any]:
        """The counts alone, for JSON."""
        found = asdict(self)
        del found["live"], found["classes"], found["new"]  # `new` is for the scheduler, which goes on counting
        return found


def tally(store: ProjectStore) -> Tally | None:
    """What people answered so far; None where this machine has no copy of the tasks, or nobody knows the question.

    Raises:
        StoreError: something stored is damaged.
    """
    files = (store.task_cache_path, *(store.folder / name for name in READ))
    return _KNOWN.get(str(store.folder), stamp_of(*files), lambda: _counted(store))


_KNOWN: Final = Remembered[Tally | None](KEPT)
"""By store: pages ask every second."""
READ: Final = (QUESTION, CURRENT, WISHES, SEEN_NAME, QUERY_LOG)
"""The files that a tally depends on, beside the copy of the tasks."""


def _counted(store: ProjectStore) -> Tally | None:
    question = store.noted_question()
    if (question is None and not store.learns_nothing) or not store.task_cache_path.exists():
        return None
    cache, dropped, current = TaskCache(store.task_cache_path), read_overrides(store).dropped, store.current().queue
    untouched_dropped = sum(not task.annotations and not task.is_evaluation for task in cache.find(dropped))
    tasks, (untouched, untouched_held_out) = list(cache.annotated()), cache.untouched()
    pool = divide(tasks, question, dropped) if question else divide_answered(tasks, dropped)
    labels = {task.id: label for task, label in pool.training}
    bulk = answered_in_bulk(task for task, _ in pool.training)
    log, seen = looked_up(store, labels, bulk), last_seen(store)
    queue = store.queue(current) if current else None
    new = Counter({task.id: _new_answers(task, seen.answers or seen.newest) for task in tasks})
    return Tally(
        labels=len(labels),
        evaluation=len(pool.evaluation),
        held_out=pool.held_out + untouched_held_out,
        control=sum(task in log and log[task].picked_by == CONTROL for task in labels),
        bulk=len(bulk),
        open=len(pool.open) + untouched - untouched_dropped,
        skipped=pool.skipped,
        tied=len(pool.tied),
        new=new.total(),
        queue=_of_queue(queue, tasks, _answered(pool) & (+new).keys(), cache) if queue else None,
        live=live_accuracy(log, labels),
        classes=class_shares(log, labels if question else {}),
    )


def _answered(pool: TaskPool) -> set[int]:
    return {task.id for task, _ in (*pool.training, *pool.evaluation)}


def _new_answers(task: Task, since: str) -> int:
    """How many answers came after a time as Label Studio writes times; all of them where there is none."""
    return sum(not since or annotation.updated_at > parse_time(since) for annotation in task.annotations)


def _of_queue(queue: Queue, annotated: Iterable[Task], new: set[int], cache: TaskCache) -> QueueTally:
    asked = {item.task_id for item in queue.predictions}
    states = Counter(state_of(task) for task in annotated if task.id in asked)
    answered, skipped, gone = states["answered"], states["skipped"], cache.missing(asked)
    waiting = len(asked) - answered - skipped - gone
    return QueueTally(queue.name, len(asked), answered, skipped, waiting, gone, elsewhere=len(new - asked))


def state_of(task: Task) -> str:
    """What became of a task: ``answered``, ``skipped`` or ``waiting``."""
    if task.is_labeled or any(not annotation.cancelled for annotation in task.annotations):
        return "answered"
    return "skipped" if task.is_skipped else "waiting"


def live_accuracy(answers: Mapping[int, QueryLogEntry], labels: Mapping[int, str]) -> dict[str, dict[str, float]]:
    """How often people agreed with the guess, among the last 100 answers of each arm.

    Each guess was made before the answer, by the version of that time. Control tasks are a random sample of the open
    tasks and show no guess: their figure estimates the accuracy on what is still open. Those of a strategy are its
    picks, hence the hardest: expect less. Intervals: Wilson 1927.
    """
    by_arm: dict[str, list[bool]] = {}
    for task, answer in answers.items():
        if answer.guess is not None and task in labels:
            by_arm.setdefault(answer.picked_by, []).append(answer.guess == labels[task])
    found = {}
    for arm, hits in by_arm.items():
        recent = hits[-RECENT:]
        interval = wilson(sum(recent), len(recent))
        found[arm] = {"n": len(recent), "accuracy": interval.value, "low": interval.low, "high": interval.high}
    return found


def class_shares(answers: Mapping[int, QueryLogEntry], labels: Mapping[int, str]) -> dict[str, dict[str, float]]:
    """Share of each class among the answers: of the control arm, of all other picks, and of the last 100 of those.

    What was answered together with many others was picked by no queue.
    """
    control = [labels[t] for t, answer in answers.items() if t in labels and answer.picked_by == CONTROL]
    own = (CONTROL, BULK)
    picked = [labels[t] for t, answer in answers.items() if t in labels and answer.picked_by not in own]
    return {"control": _shares(control), "picked": _shares(picked), "recent": _shares(picked[-RECENT:])}


def _shares(labels: Sequence[str]) -> dict[str, float]:
    """Of answers that are sets the share of those with each label, which add up to more than 1 or less."""
    counts = Counter(each for label in labels for each in unpack(label))
    return {label: count / len(labels) for label, count in counts.most_common()}
