"""The files of a store folder that have a fixed name, and how each is shared between machines.

The owner of a document reads and writes it under the name declared here. `shared_folder` and `registry` follow `how` it
is shared, and do not use the names. A file that is not declared here is part of the project's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Shared(Enum):
    """How a file of a store folder gets to other machines."""

    STATE = "state"
    """As part of the project's state, by the holder of its lock."""
    AT_ONCE = "at once"
    """On its own whenever it is written, because requests write it while a round holds the lock."""
    MERGED = "merged"
    """As part of the state, except that lines from several machines are merged."""
    LOCAL = "local"
    """Not at all: it concerns only one machine."""


@dataclass(frozen=True)
class Document:
    """The name of a file, or the beginning of several files' names."""

    name: str
    how: Shared
    is_prefix: bool = False

    def is_of(self, name: str) -> bool:
        """Whether this is the file's entry."""
        return name.startswith(self.name) if self.is_prefix else name == self.name


DOCUMENTS: Final[list[Document]] = []


def _declared(name: str, how: Shared, *, is_prefix: bool = False) -> str:
    DOCUMENTS.append(Document(name, how, is_prefix))
    return name


CURRENT: Final = _declared("current.json", Shared.STATE)
"""What annotators get now (`stored_queues.Current`). Written last when a state is taken over."""
ANNOUNCED: Final = _declared("next.json", Shared.STATE)
"""The same while a round publishes: what annotators get once Label Studio has switched."""
QUESTION: Final = _declared("question.json", Shared.STATE)
"""The project's title, and the field, kind and labels of its question, as `/setup` or the last round read them."""
PARAMS: Final = _declared("project.json", Shared.AT_ONCE)
"""Extra params that Label Studio sent."""
ADDRESS: Final = _declared("address.json", Shared.AT_ONCE)
"""The address at which Label Studio reaches the backend, learnt when it called `/setup` (`rounds.webhook`)."""
WISHES: Final = _declared("wishes.json", Shared.AT_ONCE)
"""What people want of the order: `queue_overrides`."""
MOVES: Final = _declared("moves.json", Shared.AT_ONCE)
"""What the instant loop moved in the latest orders: `queue_reorderings`."""
BULK_ACTIONS: Final = _declared("bulk.json", Shared.AT_ONCE)
"""Answers that people gave to many tasks at once: `bulk_actions`."""
POOL: Final = _declared("pool.json", Shared.AT_ONCE)
"""The connected pool outside Label Studio: `pool.document`."""
POOL_BATCH: Final = _declared("pool_batch.json", Shared.STATE)
"""Rows of an outside pool that are being made into tasks: `pool.announce`."""
POOL_PASS: Final = _declared("pool_pass.json", Shared.STATE)
"""The result of the latest pass over all rows of an outside pool: `pool.last_pass`."""
POOL_NEIGHBOURS: Final = _declared("pool_neighbours.json", Shared.LOCAL)
"""Rows of an outside pool near the labelled tasks: `pool.neighbours`. They can be found again."""
LOG_NAME: Final = _declared("rounds.jsonl", Shared.MERGED)
"""What rounds did, one line each: `rounds.log`."""
PROGRESS: Final = _declared("progress.json", Shared.LOCAL)
"""The round in progress on this machine: `rounds.progress`."""
TASK_CACHE: Final = _declared("mirror.sqlite", Shared.LOCAL, is_prefix=True)
"""Tasks as last read, with SQLite's own files beside it: `label_studio.task_cache`."""

LOCAL_FOLDERS: Final = frozenset({"pool"})
"""Folders of a store that are not shared: other machines compute a pool's vectors (`pool.vectors`) again."""


def how_shared(name: str) -> Shared:
    """How the file of this name in a store folder is shared."""
    if name.startswith(".") or name.endswith("lock"):  # unfinished files and locks
        return Shared.LOCAL
    return next((document.how for document in DOCUMENTS if document.is_of(name)), Shared.STATE)


def named(how: Shared) -> tuple[str, ...]:
    """Names of the documents that are shared in this way."""
    return tuple(document.name for document in DOCUMENTS if document.how is how)
