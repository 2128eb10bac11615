"""How a model sees the raw content of tasks: one reader a model, which reads many at once.

What is read is kept on disk (`models.kept_items`) under the reader's name, so that a picture is fetched and
decoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ml_backend.errors import BadItemError
from ml_backend.models.base import Model

DECODERS: Final = 2
"""Pictures decoded at once: Pillow lets other threads run meanwhile."""
Raw = bytes | str


@dataclass(frozen=True)
class ItemReader:
    """Raw contents → items of a model."""

    name: str
    """What its items are kept under; another name for whatever reads otherwise."""
    read: Callable[[Sequence[Any]], list[Any]]
    """An item for each raw content, or the `BadItemError` that says why there is none."""
    rounded: bool = False
    """Whether the items are vectors whose numbers 16 bits are enough for; all are then rounded, kept or not."""
    is_light: bool = False
    """Whether to read is to decode and no more, so that it may be done for what perhaps nobody will ask."""
    length: int = 0
    """Numbers that each item must have; 0: any."""
    parts: tuple[ItemReader, ...] = ()
    """Of items that several encoders make side by side: how each reads. What they read is kept in place of the items,
    so that it serves whatever else reads through one of them."""
    read_each: Callable[[Sequence[Any]], list[list[Any]]] | None = None
    """What each of the parts reads of raw contents, opened once for all; only where there are parts."""
    join: Callable[[Sequence[Sequence[Any]]], list[Any]] | None = None
    """What the parts read → the items; likewise."""


def reader_of(model: type[Model], hyperparameters: Mapping[str, Any]) -> ItemReader:
    """How a model reads: its own ``reader(hyperparameters)`` where it has one, else ``read_item`` one by one.

    Raises:
        ConfigurationError: the hyperparameters name an encoder that cannot be used.
    """
    own: Callable[[Mapping[str, Any]], ItemReader] | None = getattr(model, "reader", None)
    if own is not None:
        return own(hyperparameters)
    return ItemReader(f"items of {model.name}", lambda raws: one_by_one(model.read_item, raws))


def one_by_one(read_item: Callable[[Raw], Any], raws: Sequence[Raw]) -> list[Any]:
    """The item of each raw content, or its `BadItemError`."""

    def read(raw: Raw) -> Any:
        try:
            return read_item(raw)
        except BadItemError as exc:
            return exc

    if not raws or isinstance(raws[0], str):
        return [read(raw) for raw in raws]
    with ThreadPoolExecutor(DECODERS) as executor:
        return list(executor.map(read, raws))
