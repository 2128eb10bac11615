"""Vectors of a row group where they lie in a file, read when they are wanted.

A column of blocks of bytes that is kept plain, in one page, is a header and then number after number: the vectors are
its last ``2 n D`` bytes, and each is found by its place. So a pass reads some rows at a time into memory that the
processor's cache holds, and once more the few that it keeps; unpacking would first copy all of them.

Axes: ``n`` rows, ``D`` numbers of a vector, ``m`` some of the rows.

Source: Apache Parquet, File Format, https://parquet.apache.org/docs/file-format/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.pool.vector_columns import NUMBER, Half

PLAIN: Final = frozenset({"PLAIN", "RLE"})
"""Encodings of a plain column; the second is that of which rows have a value, which a column without gaps lacks."""
BYTES: Final = "FIXED_LEN_BYTE_ARRAY"
MANY: Final = 64
"""One in so many rows, or more, are quicker read with all others than each by itself."""
DATA_PAGE: Final = b"\x15\x00\x15"
"""How a page's header begins: its kind; then comes its size, here that of all vectors: there is no other page."""


@dataclass(frozen=True)
class Lying:
    """Vectors of some rows ``[n, D]`` in an open file.

    Raises, where they are read:
        Whatever ``reading`` makes of an error.
    """

    file: Any
    """A `pyarrow.NativeFile`: it stays what it was where another one takes its place."""
    start: int
    """Byte of the first."""
    shape: tuple[int, int]
    reading: Callable[[], AbstractContextManager[None]]
    """Within it they are read: it tells of an error which file it is."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: NDArray[np.integer]) -> Half:
        """Those at some places ``[m, D]``."""
        if len(places) * MANY > len(self):
            found: Half = self.whole()[places]
            return found
        found = np.empty((len(places), self.shape[1]), NUMBER)
        with self.reading():
            for row, place in zip(found, places.tolist(), strict=True):
                self._read(row, place)
        return found

    def whole(self) -> Half:
        """All of them."""
        return next(self.blocks(len(self)), np.empty(self.shape, NUMBER))

    def blocks(self, rows: int) -> Iterator[Half]:
        """So many at a time ``[m, D]``, one after the other; the next ones overwrite them."""
        block = np.empty((min(rows, len(self)), self.shape[1]), NUMBER)
        for first in range(0, len(self), rows):
            part = block[: len(self) - first]
            with self.reading():
                self._read(part, first)
            yield part

    def _read(self, into: Half, first: int) -> None:
        self.file.seek(self.start + NUMBER.itemsize * self.shape[1] * first)
        if self.file.readinto(into) < into.nbytes:
            raise ValueError("it ends amid its vectors")


Some = Half | Lying
"""Vectors ``[n, D]``, in memory or not."""


def in_memory(vectors: Some) -> Half:
    """All of them ``[n, D]``."""
    return vectors.whole() if isinstance(vectors, Lying) else vectors


def in_blocks(vectors: Some, rows: int) -> Iterator[Half]:
    """So many at a time ``[m, D]``, in order; where they are read for it, the next ones overwrite them."""
    if isinstance(vectors, Lying):
        return vectors.blocks(rows)
    return (vectors[first : first + rows] for first in range(0, len(vectors), rows))


def lying(
    file: Any, about: Any, group: int, name: str, reading: Callable[[], AbstractContextManager[None]]
) -> Lying | None:
    """The vectors of a row group; None where they are kept in another way, and must be unpacked.

    Args:
        file: a `pyarrow.NativeFile`.
        about: its `pyarrow.parquet.FileMetaData`.
        group: which row group.
        name: of the column.
        reading: within it they are read.
    """
    paths = [about.schema.column(number).path for number in range(about.num_columns)]
    if name not in paths:  # it is a list, of another path
        return None
    number = paths.index(name)
    kind, rows, column = about.schema.column(number), about.row_group(group), about.row_group(group).column(number)
    gaps, width = kind.max_definition_level > 0, NUMBER.itemsize
    plain = column.compression == "UNCOMPRESSED" and PLAIN.issuperset(column.encodings)
    if kind.physical_type != BYTES or kind.length % width or gaps or not plain:
        return None
    size = rows.num_rows * kind.length
    begin = DATA_PAGE + _varint(size)
    file.seek(column.data_page_offset)
    if file.read(len(begin)) != begin:
        return None
    start = column.data_page_offset + column.total_compressed_size - size
    return Lying(file, start, (rows.num_rows, kind.length // width), reading)


def _varint(number: int) -> bytes:
    """A positive number as Thrift's compact protocol writes it: twice it, seven bits a byte, the low ones first."""
    left, found = 2 * number, bytearray()
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])
