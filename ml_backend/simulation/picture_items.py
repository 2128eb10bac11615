"""Encoded pictures → items of a model, computed once where features are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ml_backend.models.kept_items import read_kept
from ml_backend.models.reading import ItemReader

BLOCK: Final = 256
"""Pictures that are read and kept together: an interrupted run goes on where it was."""


def read_pictures(reader: ItemReader, raws: Sequence[bytes]) -> list[Any]:
    """The item of each picture, or the `BadItemError` that says why there is none.

    Vectors are kept under the names that rounds keep them under, rounded to 16 bits as theirs.
    """
    if not reader.rounded:
        return reader.read(raws)  # small grey pictures: quicker to read again than to keep
    return [item for at in range(0, len(raws), BLOCK) for item in read_kept(reader, raws[at : at + BLOCK])]
