"""What a round is asked to do: one record on its way from HTTP, scheduler or command to where the round runs."""

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
    """Why the round runs: ``asked``, a rule of the scheduler (``labels``, ``time``), or a command (``sync``)."""
    train: bool = True
    """Whether to train; otherwise the stored version only makes a new order of the open tasks."""
    pin: str | None = None
    """Serve this version from now on, until it is unpinned."""
    unpin: bool = False
    """Unpin: let rounds choose the version again."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Extra params of the project to be changed, for this round and all later ones; None removes one."""

    def then(self, later: RoundRequest) -> RoundRequest:
        """One request in place of two, with this one's reason: its round leaves the project as both would in turn.

        It trains if either of them asks for it. Of two requests about pinning, the later one counts. Changes of
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
        """Whether no later round would do the same by itself: it pins, unpins, or only makes a new order."""
        return bool(self.pin) or self.unpin or not self.train

    def as_options(self) -> dict[str, Any]:
        """Everything except project and trigger, for Redis; ``from_options`` reads it."""
        return {"train": self.train, "pin": self.pin, "unpin": self.unpin, "changes": dict(self.settings)}

    @classmethod
    def from_options(cls, project_id: int, trigger: str = ASKED, options: Mapping[str, Any] | None = None) -> Self:
        """A request that came through Redis.

        Raises:
            ConfigurationError: another release made it, with other fields.
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
    """How to run a round, as decided by whoever runs it; it is not part of the request, and never sent anywhere."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Settings for this round alone, over the project's extra params."""
    whole_pool: bool = False
    """Queue every open task instead of the first ``queue_size``."""
    dry_run: bool = False
    """Make the order, but write neither to Label Studio nor to the store."""
    fit_random: bool = False
    """Once the new order stands, fit one model of random labels if one is due, to measure what the order saves."""
    draw_map: bool = False
    """Once the new order stands, draw a map of the pool, unless the project's settings switch that off."""
    patience: float = 0
    """Seconds to wait while another round of the project is running."""
    attended: bool = False
    """Whether a person runs it at a terminal, and is told there why it failed. The process's log then need not repeat
    that as an error, and the project's log leaves out failures from before the first step, such as a wrong token or
    URL, because nothing in the project failed. That the project was busy is never kept."""
    at_once: int | None = None
    """Up to so many new tasks are all embedded before there is an order; None: a number that suits the encoder."""
    told: tuple[str, ...] = ()
    """Warnings to be added to the round's own."""


ORDINARY_RUN: Final = RunOptions()


def merged(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``params`` updated with ``changes``; nested mappings (``hyperparameters``) are merged, and None is a value."""
    found = dict(params)
    for name, value in changes.items():
        known = found.get(name)
        nested = isinstance(value, Mapping) and isinstance(known, Mapping)
        found[name] = merged(known, value) if nested and known is not None else value
    return found


def applied(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Extra params after ``changes``: those that change to None are removed, so that the default applies again.

    Other values of None stay, because None means something for ``promote_margin``.
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
