"""The tables of a pool as frames of Daft, and which of their files cannot be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, reduce
from typing import Any, Final

import numpy as np

from ml_backend.errors import DataError
from ml_backend.pool.engine import FileDamaged, engine, io_config, reading
from ml_backend.pool.listing import LOCAL, Listing, literal

HEADERS: Final = 8
"""Files whose columns are looked at at once."""
WHOLE_NUMBERS: Final = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"})
SHOWN: Final = 20
"""Names of a list that are told."""
SEARCH_SECONDS: Final = 60.0
"""For the file that cannot be read."""


def table(found: Listing, texts: Sequence[str] = ()) -> Any:
    """A lazy frame of some tables: of all columns of the first or, of CSV files, of these alone.

    Args:
        found: where they are.
        texts: columns that hold texts, whatever a CSV file's values look like: ``007`` stays what it is.

    Raises:
        DataError: a CSV file lacks one of them.
    """
    daft = engine()
    config = io_config(found.url)
    if found.kind == "parquet":
        return daft.read_parquet([literal(file) for file in found.files], io_config=config)
    if found.kind == "jsonl":
        return daft.read_json([literal(file) for file in found.files], io_config=config)
    if not texts:
        return daft.read_csv(literal(found.files[0]), io_config=config)
    kind = dict.fromkeys(texts, daft.DataType.string())
    frames = []
    for names, files in _by_header(found).items():
        if lacking := next((name for name in kind if name not in names), None):
            there = named(names)
            raise DataError(
                f"{files[0].removeprefix(LOCAL)} has no column {lacking!r}, only {there}; the first line of each CSV "
                "file names its columns. Put it right, or remove the file."
            )
        plain = daft.read_csv([literal(file) for file in files], io_config=config, schema=kind)
        frames.append(plain.select(*kind))
    return reduce(lambda one, other: one.concat(other), frames)


@lru_cache(maxsize=4)
def _by_header(found: Listing) -> Mapping[tuple[str, ...], list[str]]:
    """Columns → the CSV files that have just those: Daft gives all files it reads together those of the first."""
    daft, config = engine(), io_config(found.url)

    def header(file: str) -> tuple[str, ...]:
        with reading(file.removeprefix(LOCAL)):
            return tuple(each.name for each in daft.read_csv(literal(file), io_config=config).schema())

    groups: dict[tuple[str, ...], list[str]] = {}
    with ThreadPoolExecutor(HEADERS) as executor:
        for file, names in zip(found.files, executor.map(header, found.files), strict=True):
            groups.setdefault(names, []).append(file)
    return groups


def check_id_types(found: Listing, column: str) -> None:
    """See to it that ids are of one type in all files: Daft reads them as in the first, where 2.5 becomes 2.

    Of CSV files all values are read as texts. Whole numbers of fewer bits stay what they are.

    Raises:
        DataError: they are not, or a file cannot be read.
    """
    if found.kind not in ("parquet", "jsonl"):
        return

    def kind_in(file: str) -> str:
        with reading(file.removeprefix(LOCAL)):
            columns = {each.name: str(each.dtype) for each in table(replace(found, files=(file,))).schema()}
        kind = columns.get(column, "Null")
        # JSON has no dates: these are texts that look like some, and stay what they are beside others.
        return "String" if found.kind == "jsonl" and kind.startswith(("Date", "Time")) else kind

    with ThreadPoolExecutor(HEADERS) as executor:
        kinds = list(executor.map(kind_in, found.files))
    for file, kind in zip(found.files, kinds, strict=True):
        if not _reads_as(kinds[0], kind):
            raise DataError(
                f"The column {column!r} of {file.removeprefix(LOCAL)} is {kind}, and that of "
                f"{found.files[0].removeprefix(LOCAL)} {kinds[0]}: ids would change as they are read. Save all files "
                "with the same type."
            )


def _reads_as(first: str, kind: str) -> bool:
    """Whether values of a type stay what they are as those of the first file; nothing stays nothing."""
    if {first, kind} <= WHOLE_NUMBERS:
        return bool(np.can_cast(kind.lower(), first.lower()))
    return kind in (first, "Null")


def damaged_file(found: Listing, *, clock: Callable[[], float] = time.monotonic) -> str:
    """The first file that cannot be read; empty where there is one only, or none is found in `SEARCH_SECONDS`.

    Of texts Daft says what is wrong, and not in which file.
    """
    if found.kind not in ("csv", "jsonl") or len(found.files) < 2:
        return ""
    end = clock() + SEARCH_SECONDS
    for file in found.files:
        try:
            with reading(file):
                for _ in table(replace(found, files=(file,))).to_arrow_iter():
                    if clock() > end:
                        return ""
        except FileDamaged:
            return file.removeprefix(LOCAL)
        except DataError:
            return ""
    return ""


def named(columns: Iterable[str]) -> str:
    """Columns in words, the first of many: a table can have thousands."""
    return _first(list(map(repr, columns))) or "none"


def with_types(columns: Mapping[str, str], kind: str) -> str:
    """As `named`, with the columns' types; CSV files have none, and a guessed ``Int64`` would deny the zeros of 007."""
    return _first([name if kind == "csv" else f"{name} ({each})" for name, each in columns.items()])


def _first(names: Sequence[str]) -> str:
    """Names in a line, and how many others there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
