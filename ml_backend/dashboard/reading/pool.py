"""All tasks of a project with what is known about each, and filters on them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ml_backend.dashboard.reading.common import question_of
from ml_backend.dashboard.reading.maps import control_tasks
from ml_backend.errors import BadItemError, ConfigurationError
from ml_backend.evaluation.agreement import answers, together
from ml_backend.label_sets import unpack
from ml_backend.label_studio.answers import AnswerReader
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.records import EVALUATION_FIELD, Annotation, Task
from ml_backend.rounds.tally import state_of
from ml_backend.store.documents import CURRENT, MOVES, QUESTION, WISHES
from ml_backend.store.pool_map import MAP_FILE
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import read as read_overrides
from ml_backend.store.remembered import Remembered, stamp_of

STATES: Final = {
    "open": "open, not queued",
    "queued": "queued",
    "answered": "answered",
    "skipped": "skipped",
    "dropped": "dropped",
    "evaluation": "held out to measure by",
}
"""State of a task, in words."""
UNLABELLED: Final = "waiting"
LONGEST_WORDS: Final = 500
"""Characters of the words that somebody looks for."""
HIDDEN_FIELDS: Final = frozenset({EVALUATION_FIELD, "import_key"})
"""Fields of a task's data that are ours, not the user's."""
PHRASES: Final = re.compile(r'"([^"]+)"|(\S+)')


@dataclass(frozen=True)
class TaskFacts:
    """What is known about one task."""

    id: int
    words: str
    """All its words, in lower case."""
    state: str
    """A key of `STATES`."""
    label: str | None
    """The label that most people gave."""
    guess: str | None
    """The served version's guess; None if it made none, and for control tasks."""
    probability: float | None
    """Probability of the guess."""
    is_control: bool
    """Whether the present order contains it to measure the model."""


def facts_of(store: ProjectStore) -> tuple[TaskFacts, ...]:
    """All tasks that this machine has a copy of, by ascending id.

    Raises:
        StoreError: something stored is damaged.
    """
    version = store.current().version
    drawn = [store.version_folder(version) / MAP_FILE] if version in store.versions() else []
    files = [store.task_cache_path, *drawn, *(store.folder / name for name in (QUESTION, CURRENT, WISHES, MOVES))]
    return _KNOWN.get(str(store.folder), stamp_of(*files), lambda: tuple(_facts(store)))


_KNOWN: Final = Remembered[tuple[TaskFacts, ...]](8)
"""By store."""


def _facts(store: ProjectStore) -> Iterator[TaskFacts]:
    if not store.task_cache_path.exists():
        return
    cache, question = TaskCache(store.task_cache_path), question_of(store)
    media = MediaReader(cached=cache.cached_text)
    guesses, control = _guesses(store), control_tasks(store)
    queue = store.current().queue
    queued = {item.task_id for item in store.queue(queue).predictions} if queue else set()
    dropped = set(read_overrides(store).dropped)
    reader = AnswerReader.of(question, (each for task in cache.annotated() for each in task.annotations))
    for task in cache.tasks():
        found = state_of(task)
        if task.is_evaluation:
            found = "evaluation"
        elif found == UNLABELLED:
            found = "dropped" if task.id in dropped else "queued" if task.id in queued else "open"
        is_control = found == "queued" and task.id in control
        guess, probability = (None, None) if is_control else guesses.get(task.id, (None, None))
        label = together(answers(_labelled(task, reader)), sets=question.multiple)
        yield TaskFacts(task.id, _words(task, question, media).casefold(), found, label, guess, probability, is_control)


def _labelled(task: Task, reader: AnswerReader) -> Iterator[Annotation]:
    return (replace(each, label=reader.read(each).label) for each in task.annotations)


def _guesses(store: ProjectStore) -> dict[int, tuple[str | None, float | None]]:
    """Task → the served version's guess and its probability, from its map and from the order."""
    current = store.current()
    found: dict[int, tuple[str | None, float | None]] = {}
    if current.version in store.versions():
        drawn, labels = store.map(current.version), store.manifest(current.version).labels
        if drawn is not None:
            pairs = zip(drawn.guesses.tolist(), drawn.confidences.tolist(), strict=True)
            told = [(labels[guess], round(float(sure), 4)) if guess >= 0 else (None, None) for guess, sure in pairs]
            found.update(zip(drawn.task_ids.tolist(), told, strict=True))
    if current.queue:
        for item in store.queue(current.queue).predictions:
            if item.label is not None:
                found[item.task_id] = item.label, round(item.confidence, 4)
    return found


def _words(task: Task, question: ChoiceQuestion, media: MediaReader) -> str:
    """What a task shows, followed by all other words in its data; embedded pictures are skipped."""
    parts = []
    if question.shown_as != "Image" and media.known_text(task, question):
        with suppress(BadItemError):
            parts.append(str(media.shown(task, question)))
    parts += [text for name, value in task.data.items() if name not in HIDDEN_FIELDS for text in _texts(value)]
    return "\n".join(dict.fromkeys(parts))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if not value.startswith("data:"):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


@dataclass(frozen=True)
class Filter:
    """What somebody looks for; empty fields are ignored."""

    words: tuple[str, ...] = ()
    """All of these words, anywhere, in lower case."""
    label: str = ""
    guess: str = ""
    state: str = ""
    least: float | None = None
    """Probability of the guess, in [0, 1]."""
    most: float | None = None
    asked: Mapping[str, str] = field(default_factory=dict)
    """The same as it was typed: name in the query → value; empty if everything is shown."""

    def passes(self, facts: TaskFacts) -> bool:
        """Whether a task is among those looked for."""
        return (
            (not self.state or facts.state == self.state)
            and (not self.label or _has(facts.label, self.label))
            and (not self.guess or _has(facts.guess, self.guess))
            and self._is_sure(facts.probability)
            and all(word in facts.words for word in self.words)
        )

    def _is_sure(self, probability: float | None) -> bool:
        if self.least is None and self.most is None:
            return True
        return probability is not None and (self.least or 0.0) <= probability <= (
            1.0 if self.most is None else self.most
        )


def _has(answer: str | None, label: str) -> bool:
    """Whether an answer is this label, or a set that contains it."""
    return answer is not None and label in unpack(answer)


EVERYTHING: Final = Filter()
ASKED: Final = ("words", "label", "guess", "least", "most", "state")
"""Names in the query of an address."""


def filter_from(parameters: Mapping[str, str], states: Collection[str] = STATES) -> Filter:
    """What the query of an address asks for; probabilities are percentages there.

    Raises:
        ConfigurationError: something is not a number, or a state is unknown.
    """
    words = parameters.get("words", "")[:LONGEST_WORDS].casefold()
    state = parameters.get("state", "")
    if state and state not in states:
        raise ConfigurationError(f'"state" must be one of: {", ".join(states)}.')
    return Filter(
        tuple(phrase or word for phrase, word in PHRASES.findall(words)),
        parameters.get("label", ""),
        parameters.get("guess", ""),
        state,
        _percent(parameters, "least"),
        _percent(parameters, "most"),
        {name: parameters[name] for name in ASKED if parameters.get(name)},
    )


def _percent(parameters: Mapping[str, str], name: str) -> float | None:
    text = parameters.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", text, re.ASCII) or float(text) > 100:
        raise ConfigurationError(f'"{name}" must be a number of percent from 0 to 100, such as {name}=60.')
    return float(text) / 100
