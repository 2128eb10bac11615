"""Decides which of Label Studio's own paths hold files of tasks. Only for those is the token sent along.

With the token one can read everything that its account can read, including the token itself, so that a URL in a task
must not be able to name any other path.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from ml_backend.fetching.urls import origin_of

FILE_PATH: Final = re.compile(
    r"/data/upload/.+"  # uploads
    r"|/data/local-files/?"  # local storages: ?d=
    r"|/storage-data/uploaded/?"  # uploads in a bucket: ?filepath=
    r"|/(tasks|projects)/[0-9]{1,18}/(resolve|presign)/?"  # files in a storage: ?fileuri=
)
MOST_DECODINGS: Final = 4
"""A path that is still percent-encoded after this many decodings is an attempt to deceive."""


def file_path(url: str, *label_studio: str) -> str | None:
    """The path (below Label Studio's URL, with its query) of a task's file; None if the URL is not one.

    Args:
        url: absolute, or a path as Label Studio writes it into tasks.
        label_studio: Label Studio's URLs, which may have a path of their own.

    Raises:
        ValueError: not a valid URL.
    """
    found = [base for base in map(_base, label_studio) if _is_below(url, *base)]
    base = max(found, key=lambda each: len(each[1]), default=None)
    if base is None and not _is_path(url):
        return None
    parts = urlsplit(url)
    path = parts.path.removeprefix(base[1]) if base else parts.path
    decoded = path
    for _ in range(MOST_DECODINGS):
        decoded, before = unquote(decoded), decoded
        if decoded == before:
            break
    else:
        return None
    odd = "\\" in decoded or "//" in decoded or any(ord(letter) < 32 or ord(letter) == 127 for letter in decoded)
    if odd or any(part in (".", "..") for part in decoded.split("/")):
        return None
    if not (FILE_PATH.fullmatch(decoded) and FILE_PATH.fullmatch(path)):
        return None
    return f"{path}?{parts.query}" if parts.query else path


def is_own(url: str, *label_studio: str) -> bool:
    """Whether a URL belongs to this Label Studio: a path, or a URL of the same server below Label Studio's path.

    All names of this machine count as the same: Label Studio writes "localhost" into tasks where we ask 127.0.0.1.

    Raises:
        ValueError: not a valid URL.
    """
    return _is_path(url) or any(_is_below(url, *_base(one)) for one in label_studio)


def _is_path(url: str) -> bool:
    return url.startswith("/") and not url.startswith("//")


def _base(label_studio: str) -> tuple[str, str]:
    """The server, and the path below which Label Studio lies."""
    return origin_of(label_studio), urlsplit(label_studio).path.rstrip("/")


def _is_below(url: str, origin: str, base: str) -> bool:
    return (_is_path(url) or origin_of(url) == origin) and urlsplit(url).path.startswith(f"{base}/")
