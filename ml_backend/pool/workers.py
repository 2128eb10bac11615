"""What the engine's workers do to a batch of rows: see whether it is new, and embed it.

The classes are made where they are used, since Daft is imported there; what they hold is sent to each worker.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml_backend import hardware
from ml_backend.encoders import folders
from ml_backend.pool.document import ID
from ml_backend.pool.encoders import PARTS, TEXT, PoolEncoder
from ml_backend.pool.engine import cores, engine, on_ray
from ml_backend.pool.ledger import Ledger
from ml_backend.pool.vector_columns import NUMBER, column_of, numbers_in
from ml_backend.pool.vectors import MARK, REASON, VECTOR

AT_ONCE: Final = 1024
"""Texts that a worker gets at once: an encoder puts those of one length together."""
LIGHT: Final = 16_384
"""Texts of an encoder that takes a microsecond or two for one: the more, the more of their words are the same."""
PICTURES: Final = 64
IN_PROCESS: Final = 5_000
"""Rows up to which no processes are started: each loads the encoder first, which takes seconds."""


def keep_to_one_core() -> None:
    """Have the tokenizers of this process, one of several side by side, start no threads: they would but wait."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def is_new(known: Ledger) -> Any:
    """An expression over a hash: whether a row is not in a ledger."""
    daft = engine()

    @daft.func.batch(return_dtype=daft.DataType.bool())  # type: ignore[untyped-decorator]
    def new(hashes: Any) -> Any:
        return ~known.has(numbers_in(hashes.to_arrow()))

    return new(daft.col(ID).hash())


def _in_threads(encoder: PoolEncoder, workers: int) -> bool:
    """Whether threads of this process embed: without processes Daft takes one a core, no fewer."""
    return encoder.in_threads and workers == cores()


def at_once(encoder: PoolEncoder) -> int:
    """Rows that a worker gets at once."""
    if encoder.kind not in (TEXT, PARTS):
        return PICTURES
    return LIGHT if encoder.in_columns else AT_ONCE


def embedded(
    frame: Any,
    contents: Sequence[str],
    encoder: PoolEncoder,
    *,
    rows: int,
    workers: int,
    hardware_: hardware.Hardware,
    encoder_folders: tuple[Path, ...] = (),
) -> Any:
    """A lazy frame of ``id``, ``mark``, ``vector`` (null where there is none) and ``reason``.

    Args:
        frame: ``id``, ``mark``, and the contents.
        contents: the columns of the contents.
        encoder: makes the vectors.
        rows: how many there are, about.
        workers: processes on this machine; a cluster counts its own cores.
        hardware_: where each computes.
        encoder_folders: that an encoder may lie in.
    """
    daft = engine()
    kind, size = daft.DataType, encoder.dimensions()
    apart = rows > IN_PROCESS and not _in_threads(encoder, workers)
    one_core = on_ray() or (apart and workers > 1)
    returned = kind.struct({VECTOR: kind.fixed_size_binary(NUMBER.itemsize * size), REASON: kind.string()})
    # With a number Daft starts processes, also where it is asked for none.
    options: dict[str, Any] = {"max_concurrency": workers} if apart or on_ray() else {"use_process": False}

    @daft.cls(**options)
    class Embed:
        def __init__(self) -> None:
            if one_core:
                keep_to_one_core()
            hardware.use(hardware_)
            folders.allow(encoder_folders)

        @daft.method.batch(return_dtype=returned, unnest=True, batch_size=at_once(encoder))  # type: ignore[untyped-decorator]
        def vectors(self, *parts: Any) -> Any:
            import pyarrow as pa

            found, reasons = encoder.vectors_of([part.to_arrow() for part in parts])
            there = np.array([reason is None for reason in reasons], np.bool_)
            # Of a list Arrow would load pandas; most batches have no reason in them.
            told = pa.nulls(len(reasons), pa.string()) if there.all() else pa.array(reasons, pa.string())
            column = column_of(found, there=there)
            return pa.StructArray.from_arrays([column, told], [VECTOR, REASON])

    return frame.select(ID, MARK, Embed().vectors(*map(daft.col, contents)))
