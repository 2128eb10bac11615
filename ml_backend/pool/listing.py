"""Where a pool lies: its address without secrets, which kind it is of, and its files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ml_backend.errors import ConfigurationError, DataError
from ml_backend.pool.bucket_times import times_of
from ml_backend.pool.engine import engine, io_config, reading

LOCAL: Final = "file://"
SCHEMES: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "hf"})
SUFFIXES: Final = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".csv.gz"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json", ".jsonl.gz", ".json.gz"), "jsonl"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"), "pictures"),
}
"""How a file's name ends → the kind of a pool; in small letters."""
TABLES: Final = ("parquet", "csv", "jsonl")
SHOWN: Final = 3
"""Kinds of files that are named."""
MOST_FILES: Final = 100_000
"""Files of a table: more are better put together."""
PATTERN: Final = re.compile(r"[*?\[{]")
SPECIAL: Final = re.compile(r"([\\*?\[\]{}])")
"""What means something else in a pattern of Daft, which reads a backslash before it as: itself."""
HOST: Final = re.compile(r"(\[[^\]@]*\]|[^:@]*)(:[0-9]*)?")
"""Of a URL. A secret key may hold a slash: what stands before that looks like a host with a port that is no number."""
HIDDEN: Final = r"(^|/)[._][^/]*(/|$)"
"""A part of a path that begins with ``.`` or ``_``: unfinished files, marks of other programs."""


Stamp = tuple[int, int]
"""Bytes of a file, and when it was last changed, as `Listing.newest`."""


@dataclass(frozen=True)
class Listing:
    """What lies at an address."""

    url: str
    kind: str
    files: tuple[str, ...] = field(repr=False, default=())
    """Of tables; those of pictures are never all in memory."""
    count: int = 0
    size: int = 0
    """Bytes."""
    newest: int = 0
    """When one of them was last changed, in nanoseconds since 1970; 0 where nobody knows: not every bucket tells it."""
    stamps: tuple[Stamp, ...] = field(repr=False, default=())
    """Of each of the tables."""
    others: tuple[tuple[str, int], ...] = ()
    """How the names of files end that are passed over, empty ones included, and how many; the most frequent."""


def address(url: str) -> str:
    """An address as it is kept and shown: the absolute path of a folder or file, or a URL.

    Raises:
        ConfigurationError: a URL of another kind, or one with credentials in it.
    """
    if "://" not in url:
        if not url.strip():
            raise ConfigurationError("The address of the pool is empty: name a file, a folder or a URL.")
        return str(Path(os.path.expanduser(url)).absolute())  # noqa: PTH111 - of an unknown ~user it makes no error
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed; what is in it may be a secret
        raise ConfigurationError("The address of the pool is no URL: correct what stands after ://.") from None
    if parts.scheme == "file":
        return str(Path(unquote(parts.path)).absolute())
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"{parts.scheme}:// is no address of a pool; use a path, {', '.join(sorted(SCHEMES))}."
        )
    if not HOST.fullmatch(parts.netloc) or parts.query:
        host = parts.netloc.rpartition("@")[2] if "@" in parts.netloc or parts.query else "…"
        raise ConfigurationError(
            f"The address of a pool at {parts.scheme}://{host} holds credentials or a query. It is kept and shown: "
            "leave them out, and set them in the environment (AWS_ACCESS_KEY_ID and so on)."
        )
    return url


def listing(url: str) -> Listing:
    """Look at what lies at an address (of `address`).

    Raises:
        DataError: nothing, or several kinds of files; or the place cannot be reached.
    """
    counts: Counter[str] = Counter()
    size, newest, files = 0, 0, dict[str, Stamp]()
    others: Counter[str] = Counter()
    for path, kind, length in _entries(url):
        if not kind:
            ending = Path(path).suffix.lower() or "no ending"
            others[f"{ending} (empty)" if kind_of(path) else ending] += 1
            continue
        counts[kind] += 1
        size += length
        stamp = _stamp(path) or (length, 0)
        newest = max(newest, stamp[1])
        if kind in TABLES:
            files[path] = stamp
    if not counts:
        there = f"; it has {passed_over(others)}" if others else ""
        raise DataError(
            f"{url} holds nothing that can be read: tables ({', '.join(TABLES)}) or pictures{there}. Check the "
            "address; a bucket that does not exist looks like that too."
        )
    if len(counts) > 1:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())
        usual = next((kind for kind, _ in counts.most_common() if kind in TABLES), "jpg")
        raise DataError(f"{url} holds several kinds of files ({kinds}); name one by a pattern, such as {url}/*.{usual}")
    if len(files) > MOST_FILES:
        raise DataError(f"{url} has {len(files):,} files; put them together, {MOST_FILES:,} at the most.")
    names = sorted(files)
    stamps = [files[name] for name in names]
    if names and not names[0].startswith(LOCAL):
        stamps = [(length, changed) for (length, _), changed in zip(stamps, times_of(names), strict=True)]
        newest = max(changed for _, changed in stamps)
    few = tuple(others.most_common(SHOWN))
    return Listing(url, next(iter(counts)), tuple(names), counts.total(), size, newest, tuple(stamps), few)


def check_unchanged(found: Listing) -> None:
    """See to it that tables are what they were when they were listed: what was read since is all of them, then.

    Raises:
        DataError: one was changed, or is gone; the message names it.
    """
    local = all(file.startswith(LOCAL) for file in found.files)
    again = None if local else listing(found.url)
    now = dict(zip(again.files, again.stamps, strict=True)) if again else {file: _stamp(file) for file in found.files}
    for file, before in zip(found.files, found.stamps, strict=True):
        after = now.get(file)
        if after == before:
            continue
        what = "changed" if after else "taken away"
        if after and after[0] != before[0]:
            what += f" ({before[0]:,} bytes before, {after[0]:,} after)"
        raise DataError(
            f"{file.removeprefix(LOCAL)} was {what} while the pool was read, so that rows may be missing or half "
            "written. Try again once it is whole. Write new rows into files under another name first, then rename them."
        )


def passed_over(others: Mapping[str, int]) -> str:
    """Files that are passed over in words: ``12 of .heic, 1 of .csv (empty)``."""
    return ", ".join(f"{count:,} of {ending}" for ending, count in Counter(others).most_common(SHOWN))


def _stamp(path: str) -> Stamp | None:
    """Of a file on this machine; None where it is gone again, or lies in a bucket."""
    try:
        found = Path(path.removeprefix(LOCAL)).stat() if path.startswith(LOCAL) else None
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if found else None


def literal(path: str) -> str:
    """A path as a pattern of Daft that finds it alone."""
    return SPECIAL.sub(r"\\\1", path)


def pattern(url: str) -> str:
    """What finds the files of an address: itself where it names a file or is a pattern, else all below it."""
    if is_pattern(url):
        return url
    return literal(url) if kind_of(url) else f"{literal(url.rstrip('/'))}/**"


def is_pattern(url: str) -> bool:
    """Whether an address names files by a pattern; what there is on this disk under just this name is none."""
    return bool(PATTERN.search(url)) and ("://" in url or not Path(url).exists())


def base(url: str) -> str:
    """The folder that the paths of pictures are seen from, as Daft writes it; ends with ``/``."""
    found = PATTERN.search(url) if is_pattern(url) else None
    folder = url[: found.start()].rpartition("/")[0] if found else url.rstrip("/")
    if not found and kind_of(url):
        folder = url.rpartition("/")[0]
    return f"{folder}/" if "://" in folder else f"{LOCAL}{folder}/"


def kind_of(path: str) -> str:
    """The kind of a file by its name; empty where it is none of ours."""
    name = path.rpartition("/")[2].lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), "")


def pictures(url: str) -> Any:
    """The picture files at an address: a lazy frame of ``path`` and ``size``."""
    daft = engine()
    path = daft.col("path")
    known = rf"(?i)({'|'.join(re.escape(suffix) for suffix, kind in SUFFIXES.items() if kind == 'pictures')})$"
    found = daft.from_glob_path(pattern(url), io_config=io_config(url))
    inside = path.substr(len(base(url)), None)
    return found.where(path.regexp(known) & ~inside.regexp(HIDDEN))


def _entries(url: str) -> Iterator[tuple[str, str, int]]:
    """Path, kind and size of the files; the kind is empty where it is unknown, or the file is left out."""
    start = len(base(url))
    hidden = re.compile(HIDDEN)
    if "://" not in url and not is_pattern(url) and not Path(url).exists():
        raise DataError(f"{url} does not exist; check the address of the pool.")
    with reading(url):
        try:
            batches = iter(engine().from_glob_path(pattern(url), io_config=io_config(url)).to_arrow_iter())
            first = next(batches, None)
        except ValueError as exc:
            if "at least 1 MicroPartition" in str(exc):  # how Daft says that it found nothing
                return
            raise
        while first is not None:
            rows = first.to_pydict()
            for path, size in zip(rows["path"], rows["size"], strict=True):
                kind = kind_of(path)
                # An empty Parquet file is half of one; an empty text file is a table without rows, which Daft refuses.
                nothing = size == 0 and kind in ("csv", "jsonl")
                if not hidden.search(path[start:]):
                    yield path, "" if nothing else kind, int(size or 0)
            first = next(batches, None)
