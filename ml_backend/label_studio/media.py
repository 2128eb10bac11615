"""Task data field → raw content: text as it is, images from wherever Label Studio keeps them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from ml_backend.errors import BadItemError, LabelStudioError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.records import Task

MAX_BYTES = 50 * 1024 * 1024
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 20.0
SHOWN = 80
"""How much of a bad value an error message repeats."""


@dataclass(frozen=True)
class MediaReader:
    """Reads the content that one task field points to.

    The Label Studio token is sent to Label Studio alone; other hosts are asked without it.
    """

    client: LabelStudioClient | None = None
    cached: Callable[[str], bytes | None] = lambda url: None  # noqa: ARG005
    fetched: Callable[[str, bytes], None] = lambda url, content: None  # noqa: ARG005

    def read(self, task: Task, *, field: str, object_tag: str) -> bytes | str:
        """Raw content of ``task.data[field]``.

        Raises:
            BadItemError: the field is missing or empty, the URL is of an unknown kind, or its content cannot be had.
        """
        if field not in task.data:
            raise BadItemError(f'no field "{field}" in the task\'s data; fields: {", ".join(task.data) or "none"}')
        value = task.data[field]
        if object_tag == "Text":
            return text_of(value, field)
        if not isinstance(value, str) or not value.strip():
            raise BadItemError(f'field "{field}" holds no image URL')
        return self._image(value.strip())

    def _image(self, url: str) -> bytes:
        if url.startswith("data:"):
            return decode_data_uri(url)
        content = self.cached(url)
        if content is None:
            try:
                content = self._fetch(url)
            except ValueError as exc:  # from urlsplit, or from deep inside the HTTP library
                raise BadItemError(f"{url[:SHOWN]} is no valid URL ({exc})") from exc
            self.fetched(url, content)
        return content

    def _fetch(self, url: str) -> bytes:
        own_path = url.startswith("/") and not url.startswith("//")
        if own_path or (self.client is not None and self.client.serves(url)):
            if self.client is None:
                raise BadItemError(
                    f"{url[:SHOWN]} is served by Label Studio: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"
                )
            parts = urlsplit(url)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            try:
                return self.client.fetch(path)
            except LabelStudioError as exc:
                raise BadItemError(str(exc)) from exc
        if url.startswith(("http://", "https://")):
            try:
                return _download(url)
            except requests.RequestException as exc:
                raise BadItemError(f"cannot fetch {url[:SHOWN]} ({type(exc).__name__})") from exc
        scheme = url.split(":", 1)[0] if ":" in url else "relative path"
        raise BadItemError(
            f"{url[:SHOWN]}: cannot read a {scheme} URL; use http(s), an upload, local files or a data URI"
        )


def text_of(value: Any, field: str) -> str:
    """The text in a task field.

    Raises:
        BadItemError: no text, or nothing but white space.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadItemError(f'field "{field}" holds no text')
    text = str(value).strip()
    if not text:
        raise BadItemError(f'field "{field}" is empty')
    return text


def decode_data_uri(uri: str) -> bytes:
    """Content of a ``data:`` URI (RFC 2397).

    Raises:
        BadItemError: malformed.
    """
    head, comma, body = uri.partition(",")
    if not comma:
        raise BadItemError("malformed data URI: no comma")
    try:
        raw = unquote_to_bytes(body)
        return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw
    except (binascii.Error, ValueError) as exc:
        raise BadItemError(f"malformed data URI: {exc}") from exc


@retry(
    retry=retry_if_exception_type((requests.ConnectionError, requests.Timeout)),
    stop=stop_after_attempt(3),
    wait=wait_exponential(multiplier=0.2),
    reraise=True,
)
def _download(url: str) -> bytes:
    with requests.get(url, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), stream=True) as response:
        response.raise_for_status()
        content = bytearray()
        for chunk in response.iter_content(1 << 16):
            content += chunk
            if len(content) > MAX_BYTES:
                raise BadItemError(f"{url[:SHOWN]} is larger than {MAX_BYTES // 2**20} MiB")
        return bytes(content)
