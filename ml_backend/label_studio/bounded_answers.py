"""Limits the size of Label Studio's answers while they arrive, because one MB of gzip can unpack to two GB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx

from ml_backend.fetching.bodies import BodyError, unpacked

MOST_BYTES: Final = 256 * 1024 * 1024
"""Limit for one answer. A page of a thousand tasks with long texts has some 10 MB."""


def _never() -> bool:
    return False


def cost(most_bytes: int, is_over: Callable[[], bool] = _never) -> dict[str, Any]:
    """The limits for one answer, as httpx request ``extensions``: bytes, and a check whether time is up."""
    return {"most_bytes": most_bytes, "is_over": is_over}


def bound_answer(response: httpx.Response) -> None:
    """An httpx event hook that puts the limits in place: reading beyond them raises `BodyError`."""
    extensions = response.request.extensions
    if isinstance(response.stream, httpx.SyncByteStream) and not response.is_stream_consumed:
        encoding = response.headers.pop("content-encoding", "")
        most, is_over = extensions.get("most_bytes", MOST_BYTES), extensions.get("is_over", _never)
        response.stream = _BoundedStream(response.stream, encoding, most, is_over)


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, encoding: str, most: int, is_over: Callable[[], bool]) -> None:
        self._stream, self._encoding, self._most, self._is_over = stream, encoding, most, is_over

    def __iter__(self) -> Iterator[bytes]:
        for piece in unpacked(self._stream, self._encoding, most=self._most):
            if self._is_over():
                raise BodyError("it was not there in time")
            yield piece

    def close(self) -> None:
        self._stream.close()
