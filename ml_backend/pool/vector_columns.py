"""Vectors of 16 bits as a column of a table, and back.

New files hold blocks of bytes, ``2 D`` a row: numbers of 16 bits (IEEE 754), low byte first. Older ones hold lists of
half floats, which say for each number whether it is there: unpacking that takes most of the time of a pass.

Axes: ``n`` rows, ``D`` numbers of a vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras

if TYPE_CHECKING:
    import pyarrow as pa

Half = NDArray[np.float16]
NUMBER: Final = np.dtype("<f2")
WHOLE: Final = ("int64", "uint64")


def column_of(vectors: Half, *, there: NDArray[np.bool_] | None = None) -> pa.Array:
    """Vectors ``[n, D]`` as blocks of bytes ``[n]``; ``there`` ``[n]``: which rows have one, all by default."""
    pa: Any = extras.require("A pool", "pyarrow")
    rows = np.ascontiguousarray(vectors, dtype=NUMBER)
    mask = None if there is None else pa.py_buffer(np.packbits(there, bitorder="little"))
    width = NUMBER.itemsize * vectors.shape[1]
    return pa.Array.from_buffers(pa.binary(width), len(rows), [mask, pa.py_buffer(rows)])


def vectors_in(column: pa.Array) -> Half:
    """The vectors of a column ``[n, D]``, where they lie; they may be written where its memory may.

    Raises:
        ValueError: it holds something else, or a row has none.
    """
    pa: Any = extras.require("A pool", "pyarrow")
    kind, rows = column.type, len(column)
    if column.null_count:
        raise ValueError(f"{column.null_count} of {rows} vectors are missing")
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width % NUMBER.itemsize == 0:
        size = kind.byte_width // NUMBER.itemsize
        start, buffer = column.offset * kind.byte_width, column.buffers()[1]
    elif pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float16():
        size, numbers = kind.list_size, column.flatten()
        start, buffer = numbers.offset * NUMBER.itemsize, numbers.buffers()[1]
    else:
        raise ValueError(f"its vectors are {kind}")
    return np.frombuffer(buffer or b"", NUMBER, rows * size, start).reshape(rows, size)


def numbers_in(column: pa.Array) -> NDArray[Any]:
    """Whole numbers of 64 bits ``[n]``, with a sign or without, where they lie; Arrow's own way loads pandas.

    Raises:
        ValueError: it holds something else, or a row has none.
    """
    kind = str(column.type)
    if kind not in WHOLE or column.null_count:
        raise ValueError(f"its numbers are {kind}, and {column.null_count} are missing")
    return np.frombuffer(column.buffers()[1] or b"", kind, len(column), 8 * column.offset)


def column_of_numbers(numbers: NDArray[np.int64]) -> pa.Array:
    """Back, where they lie."""
    pa: Any = extras.require("A pool", "pyarrow")
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])
