"""What pages may use: the stores to read, and rounds to ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any, Final

from ml_backend.config import ProjectSettings, Settings
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, Finding, examine
from ml_backend.errors import ActiveLearningError, ConfigurationError, StoreError
from ml_backend.jobs.job import Rounds
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.jobs.trigger import NextRound
from ml_backend.rounds import progress
from ml_backend.rounds.log import rounds as logged_rounds
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.registry import stores_of

FRESH: Final = 120.0
"""Seconds without news after which a round that this server does not know of is considered dead."""


@dataclass(frozen=True)
class Asked:
    """The result of asking for a round."""

    words: str
    new: bool
    """False if a round that is running or waiting does the same."""


@dataclass
class Examination:
    """One run of the doctor."""

    running: bool = True
    findings: list[Finding] = field(default_factory=list)
    error: str | None = None
    ended: datetime | None = None


class Services:
    """One installation, as its pages see it. Safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        rounds: Rounds,
        scheduler: Scheduler | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self._rounds = rounds
        self._scheduler = scheduler
        self._now = now
        self._lock = Lock()
        self._examinations: dict[int, Examination] = {}

    # --- the stores --------------------------------------------------------------------------------------------

    def projects(self) -> dict[int, ProjectStore]:
        """The store of every known project."""
        return stores_of(self.settings).known()

    def store(self, project_id: int) -> ProjectStore:
        """A project's store.

        Raises:
            StoreError: nothing is known about the project here.
        """
        store = stores_of(self.settings).open(project_id)
        if store is None:
            raise StoreError(
                f"Nothing is known about project {project_id}. Check the number in its URL in Label Studio; connect it "
                f"with lsal create-project, or run lsal sync --project {project_id} --train."
            )
        return store

    def project_settings(self, store: ProjectStore) -> ProjectSettings:
        """The settings of the next round; the defaults if the stored ones are wrong."""
        defaults = self.settings.project_defaults()
        try:
            return defaults.override(store.extra_params(), where=f"Project {store.uid}")
        except ActiveLearningError:
            return defaults

    def label_studio_link(self, project_id: int, task_id: int | None = None) -> str:
        """Where people see a project, or one of its tasks, in Label Studio."""
        page = f"{self.settings.pages_url}/projects/{int(project_id)}/data"
        return page if task_id is None else f"{page}?task={int(task_id)}"

    # --- rounds ------------------------------------------------------------------------------------------------

    def outlook(self, project_id: int) -> NextRound:
        """What the scheduler is waiting for."""
        return self._scheduler.outlook(project_id) if self._scheduler is not None else NextRound()

    def running(self, project_id: int) -> bool:
        """Whether a round is waiting or running, as far as this server can know; False if Redis does not answer."""
        try:
            return self._rounds.running(project_id)
        except ConfigurationError:
            return False

    def ahead(self, project_id: int) -> list[int]:
        """Projects whose rounds come before the waiting one of this project."""
        try:
            return list(self._rounds.ahead(project_id))
        except ConfigurationError:
            return []

    def cancel(self, project_id: int) -> bool:
        """Cancel the rounds of a project. Returns whether there was one.

        Raises:
            ConfigurationError: Redis does not answer.
        """
        return self._rounds.cancel(project_id)

    def progress(self, project_id: int, store: ProjectStore) -> dict[str, Any] | None:
        """The step of the round in progress, whoever runs it; None if there is none."""
        found = progress.read(store)
        if not found:
            return None
        age = (self._now() - datetime.fromisoformat(found["updated"])).total_seconds()
        return found if self.running(project_id) or age < FRESH else None

    def seconds_since(self, moment: datetime) -> float:
        """How long ago a moment was; never negative, whatever another machine's clock says."""
        return max(0.0, (self._now() - moment).total_seconds())

    def last_round(self, store: ProjectStore) -> Mapping[str, Any] | None:
        """The newest line of the project's log."""
        return next(iter(logged_rounds(store, newest=1)), None)

    def ask(self, request: RoundRequest) -> Asked:
        """Ask for a round, unless one that does the same is running or waiting.

        Raises:
            ConfigurationError: rounds cannot run.
        """
        if self.settings.label_studio_api_key is None:
            raise ConfigurationError("No round can start: set LABEL_STUDIO_API_KEY and restart the backend.")
        with self._lock:  # if two people ask at the same moment, the second finds the first one's round
            if request == RoundRequest(request.project_id) and self._rounds.running(request.project_id):
                return Asked("A round is under way already; its result will appear here.", new=False)
            if self._scheduler is not None:
                self._scheduler.ask(request)
            else:
                self._rounds.request(request)
        return Asked("A round was asked for; it begins in a moment.", new=True)

    # --- the doctor --------------------------------------------------------------------------------------------

    def examination(self, project_id: int) -> Examination | None:
        """The latest run of the doctor since the server started."""
        return self._examinations.get(project_id)

    def examine(self, project_id: int) -> Examination:
        """Run the doctor in a thread of its own, because it asks Label Studio many things. One run at a time."""
        with self._lock:
            known = self._examinations.get(project_id)
            if known is not None and known.running:
                return known
            found = self._examinations[project_id] = Examination()
        Thread(target=self._run_checks, args=(project_id, found), name="doctor", daemon=True).start()
        return found

    def _run_checks(self, project_id: int, examination: Examination) -> None:
        try:
            with Context(self.settings, project_id) as context:
                examination.findings = list(examine(context, CHECKS))
        except ActiveLearningError as exc:
            examination.error = str(exc)
        except Exception as exc:  # nobody else would report an error in this thread
            examination.error = f"The doctor failed ({type(exc).__name__}); run lsal doctor --verbose."
        finally:
            examination.ended, examination.running = self._now(), False
