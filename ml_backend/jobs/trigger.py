"""When a project's next round is due: after a number of labels, or a time after the first change.

This is a state machine without threads, clocks or calls to anything; the scheduler tells it the time and the news::

    quiet ── changed ──► waiting ── due ──► started ── done ──► quiet, or waiting if news came meanwhile
                            ▲                  │
                            ├── failed, after a growing wait
                            └── refused, after a short one: somebody else is working on the project
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_WAIT = 5.0
"""Seconds to wait after a first failure; doubled after each further one."""
LONGEST_WAIT = 600.0
MOST_WAITING = 200
"""While this many projects are waiting, news of unknown ones is dropped, so that made-up project numbers neither fill
the memory nor keep the others waiting for long."""


@dataclass(frozen=True)
class Rule:
    """How long a project waits for more labels before it trains."""

    labels: int = 10
    seconds: float = 60.0


@dataclass
class _Project:
    rule: Rule
    since: float | None = None
    """Time of the first change that no round has taken up; None if there is none."""
    labels: int = 0
    """Labels counted since then: only a hint, for the rule and for people. A round reads Label Studio."""
    job: str | None = None
    """The job of the round under way; empty while the round is being asked for, None if there is none."""
    by_hand: bool = False
    """Somebody asked for the round: it should run even if nothing changed."""
    taken: tuple[float, int] = (0.0, 0)
    """``since`` and ``labels`` that the round under way took up."""
    failures: int = 0
    not_before: float = 0.0
    error: str | None = None
    again: bool = False
    """A round was due and has not succeeded since: the rule need not be met again."""


@dataclass(frozen=True)
class NextRound:
    """What comes next for one project, for people."""

    labels_waiting: int = 0
    labels_to_go: int | None = None
    """Labels until the next round; None if nothing has changed."""
    seconds_to_go: float | None = None
    """Seconds until the next round at the latest; None if nothing has changed."""
    job: str | None = None
    by_hand: bool = False
    failures: int = 0
    error: str | None = None


class Trigger:
    """Decides when rounds start. Not thread-safe: its owner holds a lock."""

    def __init__(self, clock: Callable[[], float], rule: Rule | None = None) -> None:
        self._clock = clock
        self._rule = rule or Rule()
        self._projects: dict[int, _Project] = {}

    def changed(self, project_id: int, labels: int = 0) -> None:
        """Hear that a project changed, by ``labels`` more labels as far as the sender knows."""
        if project_id not in self._projects and len(self.waiting()) >= MOST_WAITING:
            return
        project = self._project(project_id)
        project.since = self._clock() if project.since is None else project.since
        project.labels += max(labels, 0)

    def know(self, project_id: int) -> None:
        """Accept news of this project even while many others are waiting."""
        self._project(project_id)

    def found(self, project_id: int, labels: int = 0) -> None:
        """Hear that polling found the project changed by ``labels`` in all, including those reported before."""
        known = self._projects.get(project_id)
        self.changed(project_id, labels - (known.labels if known else 0))

    def counted(self, project_id: int, labels: int) -> None:
        """Correct the number of labels that wait; ignored during a round, which may have taken some of them up."""
        project = self._projects.get(project_id)
        if project is not None and project.since is not None and project.job is None:
            project.labels = labels

    def set_rule(self, project_id: int, rule: Rule) -> None:
        """Use the project's own rule from now on."""
        self._project(project_id).rule = rule

    def waiting(self) -> list[int]:
        """Projects with changes that no round has taken up."""
        return [project_id for project_id, project in self._projects.items() if project.since is not None]

    def due(self) -> list[int]:
        """Projects whose round should start, the longest waiting first. None of them has a round under way."""
        now = self._clock()
        found = [(p.since, i) for i, p in self._projects.items() if p.since is not None and _is_due(p, p.since, now)]
        return [project_id for _, project_id in sorted(found)]

    def started(self, project_id: int, job: str = "", *, by_hand: bool = False) -> None:
        """Note that a round is being asked for: it takes up all changes so far."""
        project = self._project(project_id)
        project.taken = (self._clock() if project.since is None else project.since, project.labels)
        project.job, project.since, project.labels = job, None, 0
        project.by_hand = project.by_hand or by_hand

    def named(self, project_id: int, job: str) -> None:
        """Note the job of the round that was asked for. Changes since ``started`` wait for the next round."""
        self._project(project_id).job = job

    def running(self) -> dict[int, str]:
        """Projects with a round under way, and its job."""
        return {project_id: project.job for project_id, project in self._projects.items() if project.job is not None}

    def done(self, project_id: int) -> None:
        """Note that the round succeeded, or that there was nothing to do."""
        project = self._project(project_id)
        if project.job is None:
            project.since, project.labels = None, 0
        project.job, project.by_hand = None, False
        project.failures, project.not_before, project.error, project.again = 0, 0.0, None, False

    def failed(self, project_id: int, error: str) -> None:
        """Note that the round failed or could not be asked for: its changes wait again, each time twice as long."""
        project = self._project(project_id)
        # The exponent is bounded, so that a project that fails for weeks does not overflow.
        self._wait_again(project, min(FIRST_WAIT * 2 ** min(project.failures, 30), LONGEST_WAIT))
        project.failures += 1
        project.error = error

    def refused(self, project_id: int) -> None:
        """Note that no round ran because somebody else was at work: its changes wait again, and nothing failed."""
        self._wait_again(self._project(project_id), FIRST_WAIT)

    def _wait_again(self, project: _Project, seconds: float) -> None:
        now = self._clock()
        if project.job is not None:
            since, labels = project.taken
            project.since, project.labels, project.job = since, project.labels + labels, None
        project.since = now if project.since is None else project.since
        project.not_before, project.again = now + seconds, True

    def forget(self, project_id: int) -> None:
        """Forget a project that is gone."""
        self._projects.pop(project_id, None)

    def outlook(self, project_id: int) -> NextRound:
        """What comes next for one project."""
        project = self._projects.get(project_id)
        if project is None:
            return NextRound()
        held_back = max(0.0, project.not_before - self._clock())
        if project.since is None:
            to_go = seconds = None
        else:
            to_go = max(0, project.rule.labels - project.labels)
            rest = max(0.0, project.since + project.rule.seconds - self._clock())
            seconds = max(held_back, 0.0 if to_go == 0 or project.again else rest)
        return NextRound(project.labels, to_go, seconds, project.job, project.by_hand, project.failures, project.error)

    def _project(self, project_id: int) -> _Project:
        return self._projects.setdefault(project_id, _Project(self._rule))


def _is_due(project: _Project, since: float, now: float) -> bool:
    if project.job is not None or now < project.not_before:
        return False
    # A round that was due once need not meet the rule again.
    return project.again or project.labels >= project.rule.labels or now - since >= project.rule.seconds
