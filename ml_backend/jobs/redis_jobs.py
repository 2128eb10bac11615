"""Jobs of RQ that can only be our rounds: their data is JSON, and they can call nothing but our own function.

Whoever can write to Redis can plant a job. RQ's own jobs are pickles, which run code when they are merely read, and
name any function to call, before and after. Here:

- data and results are JSON; what older releases queued is a pickle of plain values, which `Plain` reads without being
  able to name a class or function;
- `RoundJob` calls `run_project_round`, whatever a job says, and has no callbacks.
"""

from __future__ import annotations

import io
import json
import pickle
from typing import Any, Final

from rq import Queue, Worker
from rq.exceptions import DeserializationError
from rq.job import Job

from ml_backend.bounded_json import JsonBounds, JsonMalformed, JsonTooLarge, read_json
from ml_backend.errors import ConfigurationError
from ml_backend.models import heavy

ROUND: Final = "ml_backend.backend.run_project_round"
"""What a queued job calls, by name: workers of all releases know it."""
LARGEST: Final = 1024 * 1024
"""Bytes of a job's data; a round's result may hold many warnings."""
PICKLED: Final = b"\x80"
"""How the data of older releases begins."""
BOUNDS: Final = JsonBounds(nodes=100_000, depth=20, text=LARGEST)


class Plain(pickle.Unpickler):
    """Reads only numbers, texts, lists, tuples and mappings: everything else needs a class or function by name."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a job")


class JsonData:
    """How the server writes and reads jobs, as a serializer of RQ. It cannot read what older releases queued."""

    @staticmethod
    def dumps(content: Any, /) -> bytes:
        """As JSON."""
        return json.dumps(content).encode()

    @staticmethod
    def loads(data: bytes, /) -> Any:
        """What was written.

        Raises:
            ValueError: it is no JSON, or too much.
        """
        if len(data) > LARGEST:
            raise JsonTooLarge(f"has {len(data):,} bytes")
        return read_json(data, BOUNDS)


class WorkerData(JsonData):
    """How workers do; they can also read what older releases queued."""

    @staticmethod
    def loads(data: bytes, /) -> Any:
        """What was written.

        Raises:
            ValueError: it is no JSON, and no pickle of plain values, or too much.
        """
        if len(data) > LARGEST or not data.startswith(PICKLED):
            return JsonData.loads(data)
        try:
            return Plain(io.BytesIO(data)).load()
        except Exception as exc:  # whatever a made-up pickle does
            raise JsonMalformed(f"is no pickle of plain values ({type(exc).__name__})") from None


class RoundJob(Job):
    """A job that is one of our rounds, or is refused."""

    @property
    def success_callback(self) -> None:
        """None, whatever the job says."""
        return None

    @property
    def failure_callback(self) -> None:
        """None, whatever the job says."""
        return None

    @property
    def stopped_callback(self) -> None:
        """None, whatever the job says."""
        return None

    @property
    def project_id(self) -> int | None:
        """The project that it is about; None if it is not one of ours, or cannot be read here."""
        try:
            found = list(self.args or ()) if self.func_name == ROUND else []
        except (DeserializationError, ValueError, TypeError):
            return None
        return found[0] if len(found) == 1 and type(found[0]) is int and found[0] > 0 else None

    @property
    def func(self) -> Any:
        """Our function; no other is looked up.

        Raises:
            ConfigurationError: the job names another.
        """
        if self.func_name != ROUND or self.instance is not None:
            raise ConfigurationError(
                "A job in Redis is not one of our rounds, and was declined. Does something else write there?"
            )
        return super().func


class RoundWorker(Worker):
    """Imports what rounds need once, before the first round, instead of in each round's process."""

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Start a round in a process of its own."""
        heavy.load()
        super().fork_work_horse(job, queue)
