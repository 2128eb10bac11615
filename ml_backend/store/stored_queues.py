"""The queues of one project, and which queue and version annotators get."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from ml_backend.errors import StoreError
from ml_backend.records import Prediction, Queue
from ml_backend.store.documents import ANNOUNCED, CURRENT, MOVES
from ml_backend.store.folder import NAME, StoreFolder, checked_name, number_of
from ml_backend.store.queue_reorderings import reordered

QUEUES: Final = "queues"


@dataclass(frozen=True)
class Current:
    """What annotators get now."""

    version: str | None = None
    queue: str | None = None
    pinned: str | None = None
    """The version that somebody asked to keep, whatever is trained in the meantime."""


def _named(found: Current) -> Current:
    """Check that the fields are names, and return them.

    Raises:
        TypeError: one of them is not.
    """
    for name in (found.version, found.queue, found.pinned):
        if name is not None and (not isinstance(name, str) or not NAME.fullmatch(name)):
            raise TypeError(f"{str(name)[:100]!r} is not the name of a version or queue")
    return found


class StoredQueues(StoreFolder):
    """Queues, and the current choice.

    Raises, from every method:
        StoreError: the folder cannot be written, or something in it is missing or damaged.
    """

    def next_queue_number(self) -> int:
        """Number for the next queue, never used before in this project."""
        return max(map(number_of, self._names(QUEUES, ".json")), default=0) + 1

    def queues(self) -> list[str]:
        """Names of all stored orders, oldest first."""
        return sorted(self._names(QUEUES, ".json"), key=number_of)

    def write_queue(self, queue: Queue) -> None:
        """Store an order that is to be published."""
        self._sweep(QUEUES)
        self._write_json(f"{QUEUES}/{checked_name(queue.name)}.json", asdict(queue))
        if self._sharing is not None:
            self._sharing.prepare(self.folder)

    def queue(self, name: str) -> Queue:
        """A stored order as it is served, including what was moved in it since (`queue_reorderings`)."""
        raw = self._read_json(f"{QUEUES}/{checked_name(name)}.json")
        if raw is None:
            raise StoreError(f"Queue {name!r} is not in {self.folder}; run a round to publish a new one.")
        try:
            queue = Queue(**{**raw, "predictions": tuple(Prediction(**item) for item in raw["predictions"])})
        except (KeyError, TypeError) as exc:
            raise self._damaged(f"{QUEUES}/{name}.json", exc) from exc
        try:
            return reordered(queue, self._read_json(MOVES) or {})
        except StoreError:
            return queue  # as it was published

    def keep_as_served(self, name: str) -> None:
        """Store a replaced order including what was moved in it, because moves are kept only for the latest orders."""
        path = f"{QUEUES}/{checked_name(name)}.json"
        raw = self._read_json(path)
        if raw is None:
            return
        served = json.loads(json.dumps(asdict(self.queue(name))))
        if served["predictions"] != raw["predictions"]:
            self._write_json(path, served)

    def current(self) -> Current:
        """What annotators get now; empty before the first round."""
        try:
            return _named(Current(**(self._read_json(CURRENT) or {})))
        except TypeError as exc:
            raise self._damaged(CURRENT, exc) from exc

    def set_current(self, current: Current) -> None:
        """Switch version and queue together, and share this at once."""
        self._write_json(CURRENT, asdict(current))
        if self._sharing is not None:
            self._sharing.commit(self.folder)

    def announce(self, coming: Current) -> None:
        """Note what annotators will get as soon as Label Studio serves its queue; ``settle`` then makes it current."""
        self._write_json(ANNOUNCED, asdict(coming))

    def announced(self) -> Current | None:
        """What is being published; None if nothing is."""
        raw = self._read_json(ANNOUNCED)
        try:
            return _named(Current(**raw)) if raw is not None else None
        except TypeError as exc:
            raise self._damaged(ANNOUNCED, exc) from exc

    def served(self, queue: str) -> Current:
        """What annotators get now, given the queue that Label Studio serves. Correct even in the middle of a switch."""
        coming = self.announced()
        return coming if coming is not None and coming.queue == queue else self.current()

    def settle(self, queue: str) -> None:
        """Make the announced choice current if Label Studio serves its ``queue``; otherwise drop it."""
        coming = self.announced()
        if coming is None:
            return
        path = self.folder / ANNOUNCED
        try:
            if coming.queue == queue:
                self._writer.place(path, self.folder / CURRENT)  # needs no space, so it works on a full disk
            else:
                path.unlink()
        except OSError as exc:
            raise StoreError(f"Cannot write to {self.folder} ({exc}); check MODEL_DIR and the disk.") from exc
        if coming.queue == queue and self._sharing is not None:
            self._sharing.commit(self.folder)
