"""What is asked of one round: one record from HTTP, schedule or command to where the round runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from ml_backend.errors import ConfigurationError

ASKED: Final = "asked"
"""The trigger of a round that somebody asked for by hand."""


@dataclass(frozen=True)
class RoundRequest:
    """One round of one project."""

    project_id: int
    """The project in Label Studio."""
    trigger: str = ASKED
    """Why: ``asked``, or the word of the scheduler's rule (``labels``, ``time``) or of a command (``sync``)."""
    train: bool = True
    """Whether to fit; else the stored version only orders the open tasks anew."""
    pin: str | None = None
    """Serve this version from now on, until it is unpinned."""
    unpin: bool = False
    """Let rounds choose the version again."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Extra params of the project that change, in this round and for those to come; None takes one away."""

    def then(self, later: RoundRequest) -> RoundRequest:
        """One round, for this one's reason, that leaves the project as this request and then ``later`` would.

        It trains where either asks it; of two versions to pin, or a pin and its end, the later word holds; changes of
        settings add up.
        """
        about_pin = later if later.pin or later.unpin else self
        return replace(
            self,
            train=self.train or later.train,
            pin=about_pin.pin,
            unpin=about_pin.unpin,
            settings=merged(self.settings, later.settings),
        )

    @property
    def is_one_of_a_kind(self) -> bool:
        """Whether it does what no later round would do by itself in its place: choose a version, or order at once."""
        return bool(self.pin) or self.unpin or not self.train

    def as_options(self) -> dict[str, Any]:
        """What the request says beside project and trigger, for Redis; ``from_options`` reads it."""
        return {"train": self.train, "pin": self.pin, "unpin": self.unpin, "changes": dict(self.settings)}

    @classmethod
    def from_options(cls, project_id: int, trigger: str = ASKED, options: Mapping[str, Any] | None = None) -> Self:
        """A request that came over Redis.

        Raises:
            ConfigurationError: from another release, with other fields.
        """
        fields = dict(options or {})
        settings = fields.pop("changes", {})  # the name in jobs that older servers queued, and older workers read
        try:
            return cls(project_id, trigger, settings=settings, **fields)
        except TypeError as exc:
            raise ConfigurationError(
                f"The round was asked for by another release ({exc}): update server and workers together."
            ) from None


@dataclass(frozen=True)
class RunOptions:
    """How whoever runs a round wants it run; not part of what is asked for, and never sent anywhere."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Settings for this round alone, over the project's extra params."""
    whole_pool: bool = False
    """Queue every open task instead of the first ``queue_size``."""
    dry_run: bool = False
    """Rank, but write neither to Label Studio nor to the store."""
    fit_random: bool = False
    """After the new order stands, fit one model of random labels where one is due, to measure what the order saves."""
    draw_map: bool = False
    """After the new order stands, draw a map of the pool, unless the project's settings say not to."""
    patience: float = 0
    """Seconds to wait for another round of the project."""
    log_attempts: bool = True
    """Whether the project's log keeps a failure from before the first step too: not where a person at a terminal reads
    it (a wrong token, a wrong URL), and nothing of the project failed. That the project was busy is never kept."""
    at_once: int | None = None
    """New tasks up to which all are embedded before there is an order; None: as many as suit the encoder."""
    told: tuple[str, ...] = ()
    """What is to be said to people beside the round's own warnings."""


ORDINARY_RUN: Final = RunOptions()


def merged(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``params`` with ``changes`` on top, nested mappings (``hyperparameters``) entry by entry; None stays a value."""
    found = dict(params)
    for name, value in changes.items():
        known = found.get(name)
        nested = isinstance(value, Mapping) and isinstance(known, Mapping)
        found[name] = merged(known, value) if nested and known is not None else value
    return found


def applied(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Extra params after ``changes``: what changes to None is gone and has its default again.

    What else is None stays: ``promote_margin`` has a meaning for it.
    """
    found = dict(params)
    for name, value in changes.items():
        if isinstance(value, Mapping):
            known = found.get(name)
            value = applied(known if isinstance(known, Mapping) else {}, value) or None
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found
