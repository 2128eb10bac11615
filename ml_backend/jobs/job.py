"""A requested round, and the interface of every queue of rounds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from ml_backend.errors import BUSY
from ml_backend.rounds.request import RoundRequest

CANCELLED: Final = "Cancelled by a person; model and order are as they were."
"""The error of a round that somebody cancelled; such a round is not tried again by itself."""


@dataclass(frozen=True)
class Job:
    """One requested round."""

    id: str
    request: RoundRequest
    status: str = "queued"
    """``queued``, ``started``, ``finished`` or ``failed``: the words that Label Studio knows."""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self.error == CANCELLED

    @property
    def is_refused(self) -> bool:
        """Whether it gave up because somebody else was working on the project for longer than a round waits."""
        return BUSY in (self.error or "")  # RQ puts the class's name before it


class Rounds(Protocol):
    """Where a server asks for rounds."""

    def request(self, request: RoundRequest) -> Job:
        """Ask for a round; one that is waiting for the same project takes the request in (`RoundRequest.then`)."""

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or forgotten."""

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or running."""

    def ahead(self, project_id: int) -> tuple[int, ...]:
        """Projects whose rounds come before the waiting one of this project; empty if none is waiting."""

    def cancel(self, project_id: int) -> bool:
        """Cancel the rounds of a project: model and order stay as they are. Returns whether there was one."""

    def close(self) -> None:
        """Take no more requests, and break off a round that this process is running."""
