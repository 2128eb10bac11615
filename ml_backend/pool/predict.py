"""What a version says of every row of a pool: answer, probability and uncertainty of each question, as Parquet.

Axes: ``n`` rows of a batch, ``D`` numbers of a vector, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from ml_backend import extras, hardware
from ml_backend.errors import DataError, StoreError
from ml_backend.files import Staged, for_people
from ml_backend.models.several import answers_of
from ml_backend.pool.document import ID
from ml_backend.pool.engine import engine, io_config, on_ray, reading
from ml_backend.pool.heads import Head, check_fits, doubts
from ml_backend.pool.listing import listing
from ml_backend.pool.vector_columns import Half, vectors_in
from ml_backend.pool.vectors import VECTOR, Vectors
from ml_backend.records import Progress, no_progress

LABEL, LABELS, PROBABILITY, UNCERTAINTY = "label", "labels", "probability", "uncertainty"
"""Columns of the first question, ``labels`` where its answers are sets; of another one with its name behind."""
PART_ROWS: Final = 1_000_000
"""Rows of one file."""
LARGEST: Final = 1 << 40
"""Bytes of the one file in a bucket."""
BELOW: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Probabilities of the likeliest label: how many rows fall under each."""


@dataclass
class Counts:
    """How many rows a question's answers have."""

    below: dict[float, int] = field(default_factory=lambda: dict.fromkeys(BELOW, 0))
    """Probability → rows whose answer has less."""
    labels: dict[str, int] = field(default_factory=dict)
    """Label → rows that have it."""


@dataclass
class Predicted(Counts):
    """What was written."""

    version: str = ""
    out: str = ""
    guesses: str = ""
    """Why the version is no better than guessing; empty where it is better."""
    rows: int = 0
    left_out: int = 0
    """Rows that could not be embedded: nothing is said of them."""
    beside: dict[str, Counts] = field(default_factory=dict)
    """Questions beside the first → theirs."""


def predict(
    vectors: Vectors,
    head: Head,
    out: str,
    *,
    hardware_: hardware.Hardware | None = None,
    part_rows: int = PART_ROWS,
    progress: Progress = no_progress,
) -> Predicted:
    """Write what a version says of all rows that have a vector.

    It appears whole or not at all: on a disk a folder, in a bucket one file.

    Args:
        vectors: of the pool.
        head: of the version.
        out: of `listing.address`: a new folder, or one in a bucket that holds no table.
        hardware_: where to compute.
        part_rows: of one file.
        progress: called with rows done, and all.

    Raises:
        StoreError: the vectors are missing, damaged, or not of the version's encoder; or it cannot be written.
        DataError: the folder has something in it already, or cannot be reached.
    """
    check_fits(vectors, head)
    told = Predicted(version=head.version, out=out, left_out=vectors.count_bad(), labels=dict.fromkeys(head.labels, 0))
    told.beside = {each.control: Counts(labels=dict.fromkeys(each.labels, 0)) for each in head.beside}
    total = vectors.count()
    if not total:
        raise StoreError(f"{vectors.folder} has no vectors: call lsal pool embed first.")
    tables = _counted(_tables(vectors, head, hardware_ or hardware.Hardware(), part_rows), told, head, total, progress)
    if "://" in out:
        _to_bucket(tables, out)
    else:
        _to_disk(tables, Path(out))
    return told


def _tables(vectors: Vectors, head: Head, hardware_: hardware.Hardware, part_rows: int) -> Iterator[Any]:
    """Tables of ``id`` and the answers, of so many rows at the most."""
    pa = extras.require("A pool", "pyarrow")
    waiting, rows = list[Any](), 0
    with reading(str(vectors.folder)):
        for batch in _plan(vectors, head, hardware_).to_arrow_iter():
            if waiting and rows + len(batch) > part_rows:
                yield pa.Table.from_batches(waiting)
                waiting, rows = [], 0
            waiting.append(batch)
            rows += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)


def _plan(vectors: Vectors, head: Head, hardware_: hardware.Hardware) -> Any:
    daft = engine()
    kind, packed = daft.DataType, head.packed()
    of_answer = {LABEL: kind.string(), LABELS: kind.list(kind.string())}
    fields = {
        name: of_answer.get(what, kind.float32()) for each, _ in head.questions for what, name in columns(each, head)
    }

    @daft.cls(use_process=False)
    class Predict:
        def __init__(self) -> None:
            hardware.use(hardware_)
            self.head = packed.unpacked()

        @daft.method.batch(return_dtype=kind.struct(fields), unnest=True)  # type: ignore[untyped-decorator]
        def said(self, rows: Any) -> Any:
            import pyarrow as pa

            part = vectors_in(rows.to_arrow())
            answers = [answer for each, _ in self.head.questions for answer in _answers(each, part)]
            return pa.StructArray.from_arrays(answers, list(fields))

    plans = [
        daft.read_parquet([str(path) for path in files]).select(ID, Predict().said(daft.col(VECTOR)))
        for files in vectors.alike()
    ]
    return reduce(lambda plan, other: plan.concat(other), plans)


def columns(head: Head, first: Head) -> list[tuple[str, str]]:
    """What a question's columns hold, and their names."""
    behind = "" if head.control == first.control else f"_{head.control}"
    return [(what, what + behind) for what in (LABELS if head.several else LABEL, PROBABILITY, UNCERTAINTY)]


def _answers(head: Head, vectors: Half) -> list[Any]:
    """What a head says of some rows, column by column ``[n]``."""
    import pyarrow as pa

    probabilities = head.probabilities(vectors).mean(axis=1)
    labels = np.array(head.labels, dtype=object)
    if head.several:
        chosen = answers_of(head.model, probabilities) > 0
        answers = pa.array([labels[row].tolist() for row in chosen], pa.list_(pa.string()))
        best = np.where(chosen, probabilities, 1 - probabilities).prod(axis=1)
    else:
        answers, best = pa.array(labels[probabilities.argmax(axis=1)], pa.string()), probabilities.max(axis=1)
    return [answers, pa.array(best, pa.float32()), pa.array(doubts(probabilities, head), pa.float32())]


def _counted(tables: Iterator[Any], told: Predicted, head: Head, total: int, progress: Progress) -> Iterator[Any]:
    """The same tables, what is in them counted."""
    for table in tables:
        told.rows += len(table)
        for each, _ in head.questions:
            counts = told.beside.get(each.control, told)
            (_, answer), (_, probability), _ = columns(each, head)
            probabilities = np.sort(table[probability].to_numpy())
            for limit in BELOW:
                counts.below[limit] += int(np.searchsorted(probabilities, np.float32(limit), side="left"))
            answers = table[answer].combine_chunks()
            for entry in (answers.flatten() if each.several else answers).value_counts().to_pylist():
                counts.labels[entry["values"]] += entry["counts"]
        yield table
        progress(told.rows, total)


def _to_disk(tables: Iterator[Any], folder: Path) -> None:
    parquet = extras.require("A pool", "pyarrow", "pyarrow.parquet")

    def fill(staged: Staged) -> None:
        for number, table in enumerate(tables):
            parquet.write_table(table, staged / f"part-{number:05d}.parquet")

    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DataError(f"{folder} is there already, with something in it; name a new folder with --out.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        for_people.write_folder(folder, fill)
    except OSError as exc:
        raise StoreError(
            f"Cannot write {folder} ({exc.strerror or exc}); nothing was kept. Make room, or name another folder."
        ) from exc


def _to_bucket(tables: Iterator[Any], url: str) -> None:
    """As one object: a bucket shows it once all of it is there, and several could not appear together."""
    try:
        there = listing(url).count
    except DataError as exc:
        if "holds nothing" not in str(exc):
            raise
        there = 0
    if there:
        raise DataError(f"{url} has {there:,} tables or pictures in it already; name a new folder with --out.")
    daft, parquet = engine(), extras.require("A pool", "pyarrow", "pyarrow.parquet")
    with TemporaryDirectory() as place:
        folder = Path(place) / "predictions"
        _to_disk(tables, folder)
        if on_ray():  # its workers do not see the folder, and each would write an object of its own
            whole = daft.from_arrow(parquet.read_table(folder)).into_partitions(1)
        else:
            whole = daft.read_parquet(f"{folder}/*.parquet")
        with reading(url), daft.execution_config_ctx(parquet_target_filesize=LARGEST):
            whole.write_parquet(url, io_config=io_config(url))
