"""Encoded pictures → items of a model, computed once where features are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import Array, content_key
from ml_backend.errors import BadItemError
from ml_backend.models.reading import ItemReader

BLOCK: Final = 256
"""Pictures that are read and kept together: an interrupted run goes on where it was."""


def read_pictures(reader: ItemReader, raws: Sequence[bytes]) -> list[Any]:
    """The item of each picture, or the `BadItemError` that says why there is none.

    Vectors are kept under the names that rounds keep them under, rounded to 16 bits as theirs.
    """
    if not reader.rounded:
        return reader.read(raws)  # small grey pictures: quicker to read again than to keep
    store = feature_store.kept()
    keys = [content_key(raw) for raw in raws]
    known: dict[bytes, Array | BadItemError] = {}
    if store is not None:
        known |= store.get(reader.name, keys)
    missing = list({key: raw for key, raw in zip(keys, raws, strict=True) if key not in known}.items())
    for start in range(0, len(missing), BLOCK):
        part = missing[start : start + BLOCK]
        read = zip(part, reader.read([raw for _, raw in part]), strict=True)
        new = {key: item if isinstance(item, BadItemError) else item.astype(np.float16) for (key, _), item in read}
        if store is not None:
            store.put(reader.name, {key: item for key, item in new.items() if not isinstance(item, BadItemError)})
        known |= new
    found = [known[key] for key in keys]
    return [item if isinstance(item, BadItemError) else item.astype(np.float32) for item in found]
