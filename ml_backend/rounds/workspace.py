"""What a round works with: what all rounds of an installation share, and what is its own while it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from ml_backend.config import ProjectSettings
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.rounds.project import OutsidePool
from ml_backend.rounds.report import Observer, Recorder, Report, Step
from ml_backend.rounds.request import ORDINARY_RUN, RoundRequest, RunOptions
from ml_backend.store.library import ModelLibrary
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.registry import StoreRegistry

FindPool = Callable[[ProjectStore, LabelStudioClient, bool], OutsidePool | None]
"""Finds a project's pool; called with the project's store, a client, and whether the round is a dry run."""


@dataclass(frozen=True)
class Workspace:
    """What the rounds of all projects share."""

    client: LabelStudioClient
    root: Path
    """Folder of all stores."""
    defaults: ProjectSettings = field(default_factory=lambda: ProjectSettings())
    library: ModelLibrary = field(default_factory=ModelLibrary)
    keep_versions: int = 20
    keep_queues: timedelta = timedelta(hours=1)
    """How long a replaced order stays in Label Studio."""
    stores: StoreRegistry | None = None
    """The stores under ``root``, if they are shared with other machines; None if this process has them to itself."""
    fetcher: Fetcher = field(default_factory=Fetcher)
    """Fetches images that are not in Label Studio."""
    media_seconds: float = 120.0
    """Seconds that a round may spend on fetching."""
    outside: FindPool | None = None
    """Finds the pool outside Label Studio that a project is connected to; None if pools are not supported."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The clock."""

    def store(self, uid: str) -> ProjectStore:
        """A project's store."""
        return self.stores.get(uid) if self.stores is not None else ProjectStore(self.root, uid)


@dataclass(frozen=True)
class Run:
    """One round while it runs: what was asked for, how and with what it is done, and the record of what it did.

    The functions of a round take it and the project, in place of its parts.
    """

    workspace: Workspace
    request: RoundRequest
    options: RunOptions
    recorder: Recorder

    @classmethod
    def begin(
        cls,
        workspace: Workspace,
        request: RoundRequest,
        options: RunOptions = ORDINARY_RUN,
        observer: Observer | None = None,
    ) -> Self:
        """A round that has done nothing yet; ``observer`` watches its steps."""
        report = Report(request.project_id, warnings=list(options.told))
        return cls(workspace, request, options, Recorder(report, observer))

    @property
    def report(self) -> Report:
        """What it did so far."""
        return self.recorder.report

    @property
    def is_dry(self) -> bool:
        """Whether it writes neither to Label Studio nor to the store."""
        return self.options.dry_run

    def step(self, name: str) -> AbstractContextManager[Step]:
        """Time one step; see `Recorder.step`."""
        return self.recorder.step(name)

    def warn(self, text: str, about: str | None = None) -> None:
        """Note something that people should know; see `Recorder.warn`."""
        self.recorder.warn(text, about)
