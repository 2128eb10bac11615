"""What one requested round is to do besides the ordinary; carried to wherever the round runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from ml_backend.errors import ConfigurationError


@dataclass(frozen=True)
class RoundOptions:
    """JSON-able: a worker on another machine gets it over Redis."""

    train: bool = True
    """Whether to fit; else the stored version only orders the open tasks anew."""
    pin: str | None = None
    """Serve this version from now on, until it is unpinned."""
    unpin: bool = False
    """Let rounds choose the version again."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Extra params of the project that change, in this round and for those to come; None takes one away."""

    def then(self, later: RoundOptions) -> RoundOptions:
        """One round that leaves the project as these options and then ``later`` would.

        Both are trained for where either asks it; of two versions to pin, or a pin and its end, the later word holds;
        changes of settings add up.
        """
        about_pin = later if later.pin or later.unpin else self
        changes = merged(self.changes, later.changes)
        return RoundOptions(self.train or later.train, about_pin.pin, about_pin.unpin, changes)

    def as_json(self) -> dict[str, Any]:
        """For the wire; ``from_json`` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> Self:
        """Options from the wire.

        Raises:
            ConfigurationError: from another release, with other fields.
        """
        try:
            return cls(**(content or {}))
        except TypeError as exc:
            raise ConfigurationError(
                f"The round was asked for by another release ({exc}): update server and workers together."
            ) from None


ORDINARY: Final = RoundOptions()
"""Train on what is new, order the open tasks."""


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
