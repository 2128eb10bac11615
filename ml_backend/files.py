"""Files as bytes and as UTF-8 text, with errors that name the place; fingerprints of content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ml_backend.errors import DataError


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise DataError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises:
        DataError: it cannot be read or is in another encoding; the message names the line.
    """
    raw = read_bytes(path)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16; save it as UTF-8 and try again")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{exc.object[exc.start]:02x} is not UTF-8 (Latin-1 or Windows-1252?); "
            "save the file as UTF-8 and try again"
        ) from exc
    if "\0" in text:
        raise DataError(
            f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL byte; this is no text file"
        )
    return text


def fingerprint(content: Any) -> str:
    """SHA-256 of JSON-like content, the same whatever the order of its mappings; other objects count as their text."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
