"""The rows of a pool, read where they lie, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml_backend.errors import DataError
from ml_backend.pool.bucket_times import Times, times_below
from ml_backend.pool.document import ID, PATH, Pool
from ml_backend.pool.engine import FileDamaged, engine, io_config, reading
from ml_backend.pool.listing import LOCAL, Listing, base, check_unchanged, listing, pictures
from ml_backend.pool.marks import file_times, mark_of
from ml_backend.pool.tables import WHOLE_NUMBERS, damaged_file, named, table
from ml_backend.pool.vector_columns import numbers_in
from ml_backend.pool.vectors import MARK, Marks

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS: Final = frozenset({"String", "Null"})
"""``Null``: a column of nothing but empty values."""
MOST_ASKED: Final = 10_000
"""Rows that are looked up at once."""
SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}


class Source:
    """Reads one pool.

    Args:
        pool: which.

    Raises, from every method:
        DataError: it cannot be reached or read, or is not what it was when it was connected.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def frame(self, *, content: bool = True, shown: bool = True, marked: bool = False, new: Any = None) -> Any:
        """A lazy frame of Daft: ``id`` (string) and, with ``content``, a column `inner` of each field of the task.

        Of pictures it holds the path of a file on this machine, else the file's bytes; null where it cannot be fetched.

        Args:
            content: whether the fields are wanted.
            shown: whether also those that are shown only, and not learnt from.
            marked: whether a column `MARK` is wanted: another number where a row's content is another. Of a text its
                hash; of a picture the size of its file and the time of its last change (`marks`), since all would
                have to be fetched otherwise.
            new: an expression over ``id``: rows for which it is true are kept, before anything is fetched.
        """
        daft = engine()
        with reading(self.pool.url):
            chosen = [daft.col(self.pool.id_column).cast(daft.DataType.string()).alias(ID)]
            if content and not self.pool.is_pictures:
                for name in self.pool.fields if shown else self.pool.learnt_from:
                    column = self.pool.fields[name]
                    chosen.append(daft.col(column).cast(daft.DataType.string()).alias(inner(name)))
            if marked:
                chosen.append(self._mark(daft))
            found = self._rows().select(*chosen)
            found = found if new is None else found.where(new)
            return self._with_pictures(found, marked=marked) if content and self.pool.is_pictures else found

    def ids(self) -> Iterator[pa.Array]:
        """All ids, in batches; a row without one has null."""
        for batch in self._batches(lambda: self.frame(content=False)):
            yield batch.column(ID)

    def marks(self) -> Iterator[tuple[pa.Array, Marks]]:
        """All ids, as `ids`, each with its mark, see `frame`."""
        for batch in self._batches(lambda: self.frame(content=False, marked=True)):
            yield batch.column(ID), numbers_in(batch.column(MARK))

    def rows(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Some rows by their ids: the text, or the picture's bytes, of each field; those that are gone are missing.

        Of tables one pass for each `MOST_ASKED`.
        """
        daft, found = engine(), dict[str, dict[str, Any]]()
        for start in range(0, len(ids), MOST_ASKED):
            asked = list(ids[start : start + MOST_ASKED])
            plan = self._of_paths if self.pool.is_pictures else self._of_ids
            for batch in self._batches(lambda plan=plan, asked=asked: plan(daft, asked)):
                for row in batch.to_pylist():
                    contents = {name: self._content(name, row[inner(name)]) for name in self.pool.fields}
                    if not self.pool.is_pictures or None not in contents.values():
                        found[row[ID]] = contents
        return found

    def check(self) -> None:
        """See to it that the pool is there, with the columns of when it was connected.

        Raises:
            DataError: it is not; the message says what to do.
        """
        if self.listing.kind != self.pool.kind:
            raise DataError(
                f"{self.pool.url} held {self.pool.kind} when it was connected, and now {self.listing.kind}; connect it "
                "again."
            )
        now = schema_of(self.listing)
        for name, kind in self.pool.schema.items():
            if name not in now:
                raise DataError(
                    f"{self.pool.url} has no column {name!r} any more, only {named(now)}. Give it back its name, or "
                    "connect the pool again with the new one."
                )
            if self.listing.kind != "csv" and now[name] != kind and {now[name], kind} != {"String", "Null"}:
                raise DataError(
                    f"The column {name!r} of {self.pool.url} was {kind} when the pool was connected, and is now "
                    f"{now[name]}: its values may mean something else. Put it right, or connect the pool again."
                )
        if self.listing.kind == "csv":
            self._rows()  # each file has them

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn Daft's errors into ours, as `engine.reading`, with the file that cannot be read.

        Raises:
            DataError: also where a table was changed since it was listed (`listing`): Daft may read what is left of it
                without a word. Another picture under a path has another mark, see `frame`.
        """
        tables = None if self.pool.is_pictures else self.listing
        try:
            with reading(self.pool.url):
                yield
        except DataError as exc:
            if tables is None:
                raise
            check_unchanged(tables)
            raise _with_file(exc, tables) from exc.__cause__
        if tables is not None:
            check_unchanged(tables)

    @cached_property
    def listing(self) -> Listing:
        """What lies there now."""
        return listing(self.pool.url)

    @cached_property
    def _bucket_times(self) -> Times:
        return times_below(base(self.pool.url))

    def _batches(self, plan: Any) -> Iterator[pa.RecordBatch]:
        """What a plan gives, a batch at a time; a folder that has become empty gives none."""
        with self.reading():
            yield from plan().to_arrow_iter()

    def _of_ids(self, daft: Any, asked: list[str]) -> Any:
        return self.frame().where(daft.col(ID).is_in(asked))

    def _of_paths(self, daft: Any, asked: list[str]) -> Any:
        """Of pictures, whose ids are their paths: nothing else need be looked at."""
        inside = [path for path in asked if ".." not in path.split("/")]
        return self._with_pictures(daft.from_pydict({ID: inside}))

    def _content(self, name: str, value: Any) -> Any:
        """A text or a picture's bytes, also where its path is given; None where it is gone.

        What is shown only may be missing: it is empty then.
        """
        if value is None and name not in self.pool.learnt_from:
            return ""
        if not self.pool.is_pictures or not isinstance(value, str):
            return value
        try:
            return Path(value).read_bytes()
        except OSError:
            return None

    def _mark(self, daft: Any) -> Any:
        if self.pool.is_pictures:
            place = base(self.pool.url)
            path = daft.lit(place.removeprefix(LOCAL)) + daft.col(PATH)
            times = file_times if place.startswith(LOCAL) else self._bucket_times.of
            return mark_of(path, daft.col("size"), times=times, moved_at=self.pool.moved_at).alias(MARK)
        first, *others = (
            daft.col(self.pool.fields[name]).cast(daft.DataType.string()).fill_null("")
            for name in self.pool.learnt_from
        )
        mark = first.hash()
        for other in others:
            mark = other.hash(seed=mark)
        return mark.alias(MARK)

    def _with_pictures(self, rows: Any, *, marked: bool = False) -> Any:
        daft, place = engine(), base(self.pool.url)
        local = place.startswith(LOCAL)
        full = daft.lit(place.removeprefix(LOCAL)) + daft.col(ID)
        if not local:
            full = full.download(on_error="null", io_config=io_config(self.pool.url))
        return rows.select(ID, *([MARK] if marked else []), *(full.alias(inner(name)) for name in self.pool.fields))

    def _rows(self) -> Any:
        if self.pool.is_pictures:
            return picture_rows(self.pool.url)
        return table(self.listing, texts=(self.pool.id_column, *self.pool.fields.values()))


def schema_of(found: Listing) -> dict[str, str]:
    """Column → type, as the files say themselves.

    Raises:
        DataError: they cannot be read.
    """
    if found.kind == "pictures":
        return {PATH: "String"}
    try:
        with reading(found.url):
            return {each.name: str(each.dtype) for each in table(found).schema()}
    except FileDamaged as exc:
        raise _with_file(exc, found) from exc.__cause__


def _with_file(error: DataError, found: Listing) -> DataError:
    """The same error with the file that cannot be read, where that is what it says and the file is found."""
    file = damaged_file(found) if isinstance(error, FileDamaged) else ""
    return DataError(f"{error} It is {file}.") if file else error


def picture_rows(url: str) -> Any:
    """A lazy frame of the pictures at an address: ``path``, as seen from there, and ``size``."""
    daft = engine()
    return pictures(url).select(daft.col(PATH).substr(len(base(url)), None).alias(PATH), "size")


def check_columns(
    found: Mapping[str, str], id_column: str, fields: Mapping[str, str], url: str, *, typed: bool = True
) -> None:
    """See to it that columns are there, and of a kind that can be used.

    Args:
        found: column → type.
        id_column: tells a row from all others.
        fields: field of the task → column.
        url: where they are.
        typed: whether the types are the files' own; of CSV files they are guesses, and all is read as texts.

    Raises:
        DataError: one is not; the message lists those that there are.
    """
    for name in (id_column, *fields.values()):
        if name not in found:
            step = " Name the one that tells a row from all others with --id." if name == id_column else ""
            if len(found) == 1 and (other := next((sign for sign in SEPARATORS if sign in next(iter(found))), None)):
                step = f" Are its columns separated by {SEPARATORS[other]}? Save it with commas."
            raise DataError(f"{url} has no column {name!r}; it has {named(found)}.{step}")
    if not typed:
        return
    if found[id_column] not in TEXTS | WHOLE_NUMBERS:
        raise DataError(f"The column {id_column!r} of {url} is {found[id_column]}: ids are texts or whole numbers.")
    for column in fields.values():
        if found[column] not in TEXTS:
            raise DataError(
                f"The column {column!r} of {url} is {found[column]}, no text. Where it is Binary, save it as UTF-8."
            )


def inner(name: str) -> str:
    """The column of a field: never that of the id."""
    return f"field:{name}"
