"""Names of queues: the ``model_version`` under which a queue's predictions stand in Label Studio.

``<model version>.<strategy>-<number>``, for example ``mnist_cnn-0003-1a2b3c4d.dropout_entropy-0007``; before a first
model ``start.random-0001``. Label Studio stores the name with every annotation, so an export can still tell which model
and which strategy put the task in front of a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NO_VERSION: Final = "start"
"""Stands in a queue's name where there is no model yet."""
NO_MODEL: Final = "untrained"
"""The ``model_version`` of what our backend answers before there is any order."""
NUMBER_WIDTH: Final = 4

_NAME: Final = re.compile(
    # Whatever matches may be deleted as one of our old queues: a foreign "my-model.v2-0001" must not.
    rf"(?P<version>{NO_VERSION}|[^\s.]+-\d{{4,}}-[0-9a-f]{{8}})\.(?P<strategy>[^\W\d](?:[\w-]*\w)?)-(?P<number>\d{{4,}})",
    re.ASCII,
)


@dataclass(frozen=True)
class QueueName:
    """The parts of a queue's name."""

    version: str | None
    """Model version that scored it; None before a first model."""
    strategy: str
    number: int

    def __str__(self) -> str:
        return f"{self.version or NO_VERSION}.{self.strategy}-{self.number:0{NUMBER_WIDTH}d}"


def queue_name(version: str | None, strategy: str, number: int) -> str:
    """The name of a project's ``number``-th queue.

    Raises:
        ValueError: the parts would not be found again by `parse_queue_name`.
    """
    name = str(QueueName(version, strategy, number))
    if parse_queue_name(name) != QueueName(version, strategy, number):
        raise ValueError(f"No queue can be named {name!r}: a version is model-0001-1a2b3c4d, a strategy a word")
    return name


def parse_queue_name(name: str | None) -> QueueName | None:
    """The parts of ``name``; None where it is no queue's name (the predictions came from elsewhere)."""
    found = _NAME.fullmatch(name or "")
    if found is None:
        return None
    version = found["version"]
    return QueueName(None if version == NO_VERSION else version, found["strategy"], int(found["number"]))
