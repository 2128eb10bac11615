"""What can be chosen by name, loaded when it is asked for: the product's own entries, then those of plug-ins.

A plug-in is another distribution with an entry point in the registry's group (`importlib.metadata`). Its names are
known without importing it. One that cannot be loaded, or whose name is taken, takes nothing else down: whoever asks
for it by name is told what is wrong and which distribution to mend, and lists go on without it, with a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Any, Final, Generic, Protocol, TypeVar

from ml_backend.errors import PluginError

T = TypeVar("T")
U = TypeVar("U", bound="NeedsPackages")
Problem = Callable[[str, Any], str | None]
logger: Final = logging.getLogger(__name__)


class Registry(Mapping[str, T], Generic[T]):
    """Name → entry. Reading the names imports nothing; an entry is imported once, when first asked for."""

    def __init__(
        self, kind: str, group: str, own: Mapping[str, str], problem: Callable[[str, Any], str | None]
    ) -> None:
        """Take a registry's own entries.

        Args:
            kind: what an entry is called in messages, e.g. ``strategy``.
            group: of the entry points that add to it.
            own: name → ``module:attribute``, the preferred first.
            problem: why a loaded object (name, object) is no such entry; None where it is one.
        """
        self._kind, self._group, self._own, self._problem = kind, group, dict(own), problem
        self._loaded: dict[str, T] = {}
        self._broken: dict[str, str] = {}
        self._lock = RLock()

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._added if name not in self._own)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._added

    def __getitem__(self, name: str) -> T:
        """The entry.

        Raises:
            KeyError: there is none of this name. PluginError: a plug-in's cannot be used, or has a taken name.
        """
        with self._lock:
            if name in self._broken:
                raise PluginError(self._broken[name])
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]

    def usable(self) -> dict[str, T]:
        """All entries that can be loaded; the others are left out with a warning, once."""
        found = {}
        for name in self:
            try:
                found[name] = self[name]
            except PluginError:
                continue
        return found

    @cached_property
    def _added(self) -> dict[str, list[EntryPoint]]:
        """Entry points of the group by name, as installed when first asked."""
        found: dict[str, list[EntryPoint]] = {}
        for point in sorted(entry_points(group=self._group), key=lambda point: point.name):
            found.setdefault(point.name, []).append(point)
        return found

    def _load(self, name: str) -> T:
        added = self._added.get(name, [])
        if name in self._own:
            if added:
                self._warn(
                    f"{_named(added)} cannot add the {self._kind} {name!r}: the product has one of this name. "
                    "Rename its entry point."
                )
            own: T = _attribute(self._own[name])
            return own
        if not added:
            raise KeyError(name)
        if len(added) > 1:
            raise self._give_up(
                name, f"The {self._kind} {name!r} comes from {_named(added)}; uninstall all of these but one."
            )
        try:
            entry = added[0].load()
            reason = self._problem(name, entry)
        except Exception as exc:  # a foreign module can fail in any way
            message = f"The {self._kind} {name!r} of {_named(added)} cannot be loaded: {type(exc).__name__}: {exc}."
            raise self._give_up(name, f"{message} Mend or uninstall it.") from exc
        if reason:
            raise self._give_up(
                name, f"{added[0].value}, the {self._kind} {name!r} of {_named(added)}, {reason}. Mend or uninstall it."
            )
        loaded: T = entry
        return loaded

    def _give_up(self, name: str, message: str) -> PluginError:
        self._broken[name] = message
        self._warn(message)
        return PluginError(message)

    @staticmethod
    def _warn(message: str) -> None:
        logger.warning(message)


class NeedsPackages(Protocol):
    """An entry that some machines lack something for."""

    def missing(self) -> str | None:
        """What this machine lacks for it; None where nothing."""


def first_usable(entries: Mapping[str, U]) -> tuple[U | None, str]:
    """The first entry that this machine has all for; where there is none, what each of them lacks."""
    lacking = []
    for name, entry in entries.items():
        reason = entry.missing()
        if reason is None:
            return entry, ""
        lacking.append(f"{name}: {reason}")
    return None, "; ".join(lacking)


def _attribute(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _named(points: list[EntryPoint]) -> str:
    """The distributions of entry points, with their versions."""
    return " and ".join(
        f"{p.dist.name} {p.dist.version}" if p.dist else f"an unknown package ({p.value})" for p in points
    )


def lacking_members(entry: Any, protocol: type, name: str) -> str | None:
    """What is wrong with a class that is to follow a protocol under a name; None where nothing is.

    Attributes that only instances have are not looked for.
    """
    if not isinstance(entry, type):
        return f"is a {type(entry).__name__}, not a class"
    wanted = [n for n, kind in protocol.__annotations__.items() if "ClassVar" in str(kind)]
    wanted += [n for n in vars(protocol) if not n.startswith("_")]
    if lacking := [n for n in wanted if not hasattr(entry, n)]:
        return f"lacks {', '.join(lacking)} (see {protocol.__module__}.{protocol.__name__})"
    own: str = getattr(entry, "name", "")
    return None if own == name else f"calls itself {own!r}; its name and that of its entry point must be the same"
