"""Diagnosis of an installation: checks are functions in a registry, and each produces one finding.

A failing check never hides the others: whatever it raises becomes its finding, and only the checks that depend on it
are skipped, with a note. Each check says itself how to fix what it found, and whether that is safe to do automatically;
see `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal, Self

from ml_backend.config import Settings
from ml_backend.errors import (
    ActiveLearningError,
    ChoicesToCome,
    ConfigurationError,
    LabelConfigError,
    LabelStudioNotFound,
    LabelStudioUnauthorized,
    LabelStudioUnreachable,
    StoreError,
)
from ml_backend.label_studio.client import BACKEND_TITLE, LabelStudioClient
from ml_backend.label_studio.connection import new_client
from ml_backend.label_studio.labeling_config import ChoiceQuestion, LabelingConfig
from ml_backend.label_studio.layout import Layout, read_layout
from ml_backend.records import Project, Queue, Task, Wanted
from ml_backend.rounds.asked import read_asked, with_options
from ml_backend.rounds.predicted.wanted import is_by_predictions
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.registry import stores_of

REMEDIES: Final[Mapping[type[ActiveLearningError], str]] = {
    ConfigurationError: "Correct the environment: the message names the variable.",
    ChoicesToCome: "Import tasks; the next round then learns. Nothing else is to be done.",
    LabelConfigError: "Change Settings > Labeling Interface: a question that can be learnt, about an image or a text.",
    LabelStudioUnreachable: "Start Label Studio, or correct LABEL_STUDIO_URL.",
    LabelStudioUnauthorized: "Take a new token under Account & Settings and set LABEL_STUDIO_API_KEY.",
    LabelStudioNotFound: "Check the number in the project's URL, and whose token it is.",
    StoreError: "Wait for a running round, or delete what is damaged; then lsal sync --project {project} --train",
}
"""What usually fixes an error that a check did not foresee."""
Status = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    status: Status
    message: str
    remedy: str = ""
    """The command or setting that fixes it."""
    fixable: bool = False
    """Whether `mend` can fix it automatically."""


@dataclass
class Context:
    """One installation as the checks see it. Everything is read once, when a check first needs it.

    Raises, from every property:
        ActiveLearningError: it could not be read.
    """

    settings: Settings
    project_id: int
    given_backend_url: str | None = None
    """The backend to look at; None: the connected one."""
    order: int | None = None
    """How many tasks the proof of the order takes; None: no proof."""
    backend_title: str = BACKEND_TITLE
    """Among the project's backends, ours is the one connected under this title."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The clock for ages."""

    def fresh(self) -> Context:
        """The same installation, with nothing read yet."""
        return replace(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "client" in self.__dict__:
            self.client.close()

    @property
    def token(self) -> str:
        """The token from the settings."""
        if self.settings.label_studio_api_key is None:
            raise ConfigurationError(
                "LABEL_STUDIO_API_KEY is not set. Take a token in Label Studio under Account & Settings > "
                "Personal Access Token, and export it under that name."
            )
        return self.settings.label_studio_api_key.get_secret_value()

    @cached_property
    def client(self) -> LabelStudioClient:
        """A client of Label Studio with the token's account."""
        return new_client(self.settings, key=self.token)

    @cached_property
    def project(self) -> Project:
        """The project in Label Studio."""
        return self.client.project(self.project_id)

    @cached_property
    def config(self) -> LabelingConfig:
        """The project's labeling config."""
        store = stores_of(self.settings).open(self.project_id)
        xml, wanted = self.project.label_config, Wanted.of(store.extra_params() if store is not None else {})
        return read_asked(xml, self.project_id, store, with_options(self.client, self.project_id, xml, store, wanted))

    @cached_property
    def by_predictions(self) -> bool:
        """Whether another model's predictions order the tasks, so that no question needs to be learnt."""
        return is_by_predictions(self.store, self.settings.project_defaults())

    @cached_property
    def layout(self) -> Layout:
        """What the labeling config shows and asks, whatever its tags are."""
        return read_layout(self.project.label_config, project=self.project_id)

    @property
    def shown_field(self) -> str:
        """The task data field that lists show; empty if there is none."""
        return self.layout.field if self.by_predictions else self.question.field

    @property
    def question(self) -> ChoiceQuestion:
        """What the project asks."""
        return self.config.question

    @cached_property
    def tasks(self) -> list[Task]:
        """All tasks, without their annotations."""
        return [task for page in self.client.task_outlines(self.project_id) for task in page]

    @cached_property
    def open_tasks(self) -> frozenset[int]:
        """Ids of the tasks that still need a label and may be queued."""
        return frozenset(task.id for task in self.tasks if not task.is_labeled and not task.is_evaluation)

    @cached_property
    def backends(self) -> list[dict[str, Any]]:
        """Backends connected to the project, as Label Studio sees them."""
        return self.client.backends(self.project_id)

    @property
    def backend(self) -> dict[str, Any] | None:
        """Our backend among them; None if it is not connected."""
        if self.given_backend_url:
            rows = [row for row in self.backends if row["url"].rstrip("/") == self.given_backend_url.rstrip("/")]
        else:
            rows = [row for row in self.backends if row["title"] == self.backend_title] or self.backends
        return rows[0] if rows else None

    @property
    def backend_url(self) -> str | None:
        """The backend's address without a slash at its end; None if none was given and none is connected."""
        found = self.given_backend_url or (self.backend or {}).get("url")
        return found.rstrip("/") if found else None

    @property
    def basic_auth(self) -> tuple[str, str] | None:
        """User and password that the backend asks for, if both are set."""
        user, secret = self.settings.basic_auth_user, self.settings.basic_auth_pass
        return (user, secret.get_secret_value()) if user and secret else None

    @cached_property
    def versions(self) -> Mapping[str, int]:
        """Model versions that have predictions in Label Studio, with their number."""
        return self.client.prediction_versions(self.project_id)

    @cached_property
    def version_ages(self) -> Mapping[str, timedelta]:
        """How long ago the newest prediction of each version was written."""
        return self.client.version_ages(self.project_id)

    @cached_property
    def served(self) -> list[dict[str, Any]]:
        """Predictions of the version that Label Studio serves."""
        rows = self.client.predictions(self.project_id)
        return [row for row in rows if row["model_version"] == self.project.model_version]

    @cached_property
    def store(self) -> ProjectStore:
        """The project's folder."""
        return stores_of(self.settings).get(self.project.uid)

    @cached_property
    def current(self) -> Current:
        """What annotators get according to the store.

        Correct even if a round was interrupted in the middle of the switch.
        """
        return self.store.served(self.project.model_version)

    @cached_property
    def queue(self) -> Queue | None:
        """The order that annotators get according to the store; None before the first round."""
        return self.store.queue(self.current.queue) if self.current.queue else None


@dataclass(frozen=True)
class Check:
    """One entry of the registry."""

    name: str
    run: Callable[[Context], Finding]
    needs: tuple[str, ...] = ()
    """Checks without whose success this one has nothing to look at."""
    fix: Callable[[Context], str] | None = None
    """Fixes what the check found, and returns a sentence about it."""


@dataclass(frozen=True)
class Mended:
    """What `mend` did about one finding."""

    name: str
    done: bool
    message: str


def examine(context: Context, checks: Sequence[Check]) -> Iterator[Finding]:
    """Run the checks in order; yields one finding each."""
    unanswered: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in unanswered]
        if missing:
            finding = Finding(check.name, "skipped", f'Not checked: it needs "{missing[0]}".')
        else:
            finding = _run(check, context)
        if finding.status in ("error", "skipped"):
            unanswered.add(check.name)
        yield finding


def _run(check: Check, context: Context) -> Finding:
    try:
        return check.run(context)
    except ActiveLearningError as exc:
        remedy = next((text for kind, text in REMEDIES.items() if isinstance(exc, kind)), "")
        return Finding(check.name, "error", str(exc), remedy.format(project=context.project_id))
    except Exception as exc:  # one broken check must not stop the others
        return Finding(check.name, "error", f"The check itself failed ({type(exc).__name__}: {exc}).")


def mend(context: Context, findings: Sequence[Finding], checks: Sequence[Check]) -> Iterator[Mended]:
    """Fix everything that can be fixed automatically, in the order of the checks."""
    fixes = {check.name: check.fix for check in checks}
    for finding in findings:
        fix = fixes.get(finding.name) if finding.fixable else None
        if fix is None:
            continue
        try:
            yield Mended(finding.name, True, fix(context))
        except ActiveLearningError as exc:
            yield Mended(finding.name, False, str(exc))
