"""When the objects of a bucket were last changed: Daft's listing does not tell it, pyarrow's does.

Only of S3, and whatever speaks its language.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras
from ml_backend.draws import Ids
from ml_backend.pool.engine import CONNECT_MILLISECONDS, TRIES, s3_endpoint, without_secrets
from ml_backend.pool.row_keys import row_keys

SCHEMES: Final = ("s3", "s3a")

log = logging.getLogger(__name__)


def _none() -> Ids:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Times:
    """Times of many objects, in sixteen bytes each."""

    keys: Ids = field(default_factory=_none)
    """Of the objects' addresses, rising (`row_keys`) ``[N]``."""
    changed: NDArray[np.int64] = field(default_factory=_none)
    """Nanoseconds since 1970 ``[N]``."""

    def of(self, addresses: Sequence[str]) -> list[int]:
        """Of some of them; 0 where it is not known."""
        if not len(self.keys):
            return [0] * len(addresses)
        asked = row_keys(addresses)
        places = np.minimum(np.searchsorted(self.keys, asked), len(self.keys) - 1)
        found: list[int] = np.where(self.keys[places] == asked, self.changed[places], 0).tolist()
        return found


def times_below(folder: str) -> Times:
    """Of all objects below an address, such as ``s3://bucket/folder/``.

    None where it is no address of S3, or where they cannot be listed this way: that is logged, and what else tells a
    changed object must do.
    """
    return _listed([folder], deep=True)


def times_of(files: Sequence[str]) -> list[int]:
    """Of some objects of one bucket, as `Times.of`: the folders that they lie in are listed, and none below."""
    return _listed(sorted({file.rpartition("/")[0] for file in files}), deep=False).of(files)


def _listed(folders: Sequence[str], *, deep: bool) -> Times:
    parts = [urlsplit(folder) for folder in folders]
    if not parts or parts[0].scheme not in SCHEMES:
        return Times()
    keys, changed = [_none()], [_none()]
    try:
        tops = [f"{each.netloc}{each.path}".rstrip("/") for each in parts]
        for infos in _folders(tops, parts[0].netloc, deep=deep):
            keys.append(row_keys([f"{parts[0].scheme}://{info.path}" for info in infos]))
            changed.append(np.array([info.mtime_ns or 0 for info in infos], np.int64))
    except OSError as exc:
        log.warning(
            "When the objects of %s were changed cannot be listed (%s): another one of the same size goes unnoticed.",
            folders[0],
            without_secrets(str(exc)),
        )
        return Times()
    found = np.concatenate(keys)
    order = np.argsort(found, kind="stable")
    return Times(found[order], np.concatenate(changed)[order])


def _folders(tops: Sequence[str], bucket: str, *, deep: bool) -> Iterator[list[Any]]:
    """The objects of each folder, one after the other: those of all together may be too many."""
    fs: Any = extras.require("A pool", "pyarrow", "pyarrow.fs")
    endpoint = urlsplit(s3_endpoint() or "")
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    system = fs.S3FileSystem(
        region=named or (None if endpoint.netloc else fs.resolve_s3_region(bucket)),
        scheme=endpoint.scheme or None,
        endpoint_override=endpoint.netloc or None,
        connect_timeout=CONNECT_MILLISECONDS / 1000,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )
    waiting = list(tops)
    while waiting:
        infos = system.get_file_info(fs.FileSelector(waiting.pop(), allow_not_found=True))
        if deep:
            waiting += [info.path for info in infos if info.type == fs.FileType.Directory]
        yield [info for info in infos if info.is_file]
