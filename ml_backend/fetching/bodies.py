"""Bodies of HTTP answers, unpacked piece by piece, so that their size is known before it is in memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 1 << 16
"""Bytes unpacked at once: a KB of gzip can hold a MB."""
ACCEPT_ENCODING: Final = "gzip"
"""What is asked for, and all that is read."""
GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class BodyError(Exception):
    """A body that is not read: too large, damaged, or packed in another way."""


def unpacked(chunks: Iterable[bytes], encoding: str, *, most: int) -> Iterator[bytes]:
    """The content of a body as it arrives.

    Args:
        chunks: the body's bytes from the network.
        encoding: its Content-Encoding; empty: none.
        most: bytes that the content may have.

    Raises:
        BodyError: it is larger, damaged, or of another encoding than gzip.
    """
    encoding = encoding.strip().lower()
    if encoding in ("gzip", "x-gzip"):
        chunks = _gunzipped(chunks)
    elif encoding not in ("", "identity"):
        raise BodyError(f"it is packed as {encoding[:40]}, which was not asked for")
    size = 0
    for piece in chunks:
        size += len(piece)
        if size > most:
            raise BodyError(f"it is larger than {most / 2**20:,.10g} MiB")
        yield piece


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpack, empty = zlib.decompressobj(GZIP_WINDOW), True
    try:
        for data in chunks:
            empty = empty and not data
            while data:
                if unpack.eof:  # several gzip files in a row are one (RFC 1952)
                    unpack = zlib.decompressobj(GZIP_WINDOW)
                yield unpack.decompress(data, PIECE)
                data = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
        yield unpack.flush()
    except zlib.error as exc:
        raise BodyError(f"its gzip is damaged ({exc})") from exc
    if not (unpack.eof or empty):
        raise BodyError("its gzip is cut off")
