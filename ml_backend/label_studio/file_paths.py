"""Which of Label Studio's own paths hold files of tasks: only there the token goes along for a URL that a task names.

With the token everything can be read that its account may read, its token among it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

FILE_PATH: Final = re.compile(
    r"/data/upload/.+"  # uploads
    r"|/data/local-files/?"  # local storages: ?d=
    r"|/storage-data/uploaded/?"  # uploads in a bucket: ?filepath=
    r"|/(tasks|projects)/[0-9]{1,18}/(resolve|presign)/?"  # files in a storage: ?fileuri=
)
MOST_DECODINGS: Final = 4
"""A path that is still percent-encoded after so many is a trick."""


def file_path(url: str, label_studio: str) -> str | None:
    """The path below Label Studio's URL, with its query, of a file of a task; None where the URL is none.

    Args:
        url: absolute, or a path as Label Studio writes it into tasks.
        label_studio: Label Studio's URL, perhaps with a path of its own.

    Raises:
        ValueError: no valid URL.
    """
    if not is_own(url, label_studio):
        return None
    parts, base = urlsplit(url), urlsplit(label_studio).path.rstrip("/")
    path = parts.path.removeprefix(base) if parts.path.startswith(f"{base}/") else parts.path
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


def is_own(url: str, label_studio: str) -> bool:
    """Whether a URL means this Label Studio: a path, or the same scheme, host and port.

    Raises:
        ValueError: no valid URL.
    """
    if url.startswith("/"):
        return not url.startswith("//")
    ours, theirs = urlsplit(label_studio), urlsplit(url)
    return (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc.lower())
