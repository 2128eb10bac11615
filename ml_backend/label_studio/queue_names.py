"""Names of queues, which are the ``model_version`` of a queue's predictions in Label Studio.

The form is ``<model version>.<strategy>-<number>``, for example ``mnist_cnn-0003-1a2b3c4d.dropout_entropy-0007``, and
``start.random-0001`` before there is a model. Label Studio stores the name with every annotation, so that an export
still tells which model and which strategy put the task in front of a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NO_VERSION: Final = "start"
"""Takes the place of the model version if there is no model yet."""
NO_MODEL: Final = "untrained"
"""The ``model_version`` of our backend's predictions before there is any order."""
NUMBER_WIDTH: Final = 4

_NAME: Final = re.compile(
    # Whatever matches may be deleted as one of our old queues, so a foreign "my-model.v2-0001" must not match.
    rf"(?P<version>{NO_VERSION}|[^\s.]+-\d{{4,}}-[0-9a-f]{{8}})\.(?P<strategy>[^\W\d](?:[\w-]*\w)?)-(?P<number>\d{{4,}})",
    re.ASCII,
)


@dataclass(frozen=True)
class QueueName:
    """The parts of a queue's name."""

    version: str | None
    """The model version that scored the queue; None before there is a model."""
    strategy: str
    number: int

    def __str__(self) -> str:
        return f"{self.version or NO_VERSION}.{self.strategy}-{self.number:0{NUMBER_WIDTH}d}"


def queue_name(version: str | None, strategy: str, number: int) -> str:
    """The name of a project's ``number``-th queue.

    Raises:
        ValueError: `parse_queue_name` would not find the same parts again.
    """
    name = str(QueueName(version, strategy, number))
    if parse_queue_name(name) != QueueName(version, strategy, number):
        raise ValueError(f"No queue can be named {name!r}: a version is model-0001-1a2b3c4d, a strategy a word")
    return name


def parse_queue_name(name: str | None) -> QueueName | None:
    """The parts of ``name``; None if it is not the name of a queue, but of predictions from elsewhere."""
    found = _NAME.fullmatch(name or "")
    if found is None:
        return None
    version = found["version"]
    return QueueName(None if version == NO_VERSION else version, found["strategy"], int(found["number"]))
