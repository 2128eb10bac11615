"""Items of pictures on disk, by content and reader: read once, by whatever process."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

import numpy as np

from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import Array, content_key
from ml_backend.models.reading import ItemReader

BLOCK: Final = 1024
"""Items that are put together at once: a large pool's parts are not held beside the whole."""


def known_items(reader: ItemReader, keys: Sequence[bytes]) -> dict[bytes, Any]:
    """`content_key` → item, of those that are kept; of an item with parts, those whose parts all are."""
    store = feature_store.kept()
    if store is None:
        return {}
    if reader.join is None:
        return {key: _unpacked(row) for key, row in store.get(reader.name, keys).items()}
    found: dict[bytes, Any] = {}
    for start in range(0, len(keys), BLOCK):
        columns = [known_items(part, keys[start : start + BLOCK]) for part in reader.parts]
        shared = [key for key in columns[0] if all(key in column for column in columns)]
        rows = reader.join([[column[key] for key in shared] for column in columns])
        found.update(zip(shared, rows, strict=True))
    return found


def read_kept(reader: ItemReader, raws: Sequence[bytes]) -> list[Any]:
    """The item of each content, or the `BadItemError` that says why there is none; what was not kept, now is.

    Vectors are rounded to 16 bits where the reader says so, so that it does not show which were kept.
    """
    keys = [content_key(raw) for raw in raws]
    if reader.join is None:
        found = known_items(reader, keys)
        found |= _read(reader, _missing(keys, raws, found))
        return [found[key] for key in keys]
    columns = [known_items(part, keys) for part in reader.parts]
    new = _missing(keys, raws, frozenset().union(*columns))
    if reader.read_each is not None and new:
        for part, column, items in zip(reader.parts, columns, reader.read_each(list(new.values())), strict=True):
            column |= _keep(part, dict(zip(new, items, strict=True)))
    for part, column in zip(reader.parts, columns, strict=True):
        column |= _read(part, _missing(keys, raws, column))
    return reader.join([[column[key] for key in keys] for column in columns])


def _missing(keys: Sequence[bytes], raws: Sequence[bytes], known: Container[bytes]) -> dict[bytes, bytes]:
    return {key: raw for key, raw in zip(keys, raws, strict=True) if key not in known}


def _read(reader: ItemReader, missing: Mapping[bytes, bytes]) -> dict[bytes, Any]:
    """Key → item, or `BadItemError`, of contents that are read now, and kept."""
    items = reader.read(list(missing.values())) if missing else []
    return _keep(reader, dict(zip(missing, items, strict=True)))


def _keep(reader: ItemReader, read: dict[bytes, Any]) -> dict[bytes, Any]:
    """What a reader read, on disk from now on; as it will come from there."""
    rows = {key: _packed(item, reader) for key, item in read.items() if isinstance(item, np.ndarray)}
    store = feature_store.kept()
    if store is not None:
        store.put(reader.name, rows)
    return read | {key: _unpacked(row) for key, row in rows.items()}


def _packed(item: Array, reader: ItemReader) -> Array:
    return item.astype(np.float16) if reader.rounded else item


def _unpacked(item: Array) -> Array:
    return item.astype(np.float32) if item.dtype == np.float16 else item
