"""Reads a task's text or image, from the task itself or from wherever Label Studio keeps it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ml_backend.errors import BadItemError, LabelStudioError, LabelStudioNotFound
from ml_backend.fetching.budget import Budget
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.fetching.urls import SHOWN
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.config_objects import Shown, ShownObject
from ml_backend.label_studio.file_paths import file_path, is_own
from ml_backend.label_studio.markup import words_of_html, words_of_paragraphs
from ml_backend.label_studio.task_fields import field_value, top_field
from ml_backend.label_studio.url_kinds import scheme_of, storage_path
from ml_backend.records import Task

HTML: Final = "html"
PARAGRAPHS: Final = "paragraphs"
MOST_PICTURES: Final = 50
"""Most pictures of one task that shows a list of them."""
LONGEST_DATA_URI: Final = 16 * 1024 * 1024
"""Characters. Label Studio itself accepts 250 MB of tasks in one import."""


@dataclass(frozen=True)
class MediaReader:
    """Reads the content that a task's field holds or points to.

    Label Studio's token is sent along only for files of tasks in Label Studio (`file_paths`). All other addresses are
    requested without it.

    Args:
        client: client of Label Studio; None: its files cannot be read.
        cached: URL → content that was fetched earlier, if any.
        fetched: called with all content that is read by URL, new or cached.
        fetcher: fetches from all other servers.
        budget: seconds that this reader may spend on fetching in all.
    """

    client: LabelStudioClient | None = None
    cached: Callable[[str], bytes | None] = lambda url: None  # noqa: ARG005
    fetched: Callable[[str, bytes], None] = lambda url, content: None  # noqa: ARG005
    fetcher: Fetcher = field(default_factory=Fetcher)
    budget: Budget = field(default_factory=Budget)

    def shown(self, task: Task, question: Shown) -> bytes | str:
        """What annotators see of a task: the raw content of an image, or the text.

        Raises:
            BadItemError: as `read`.
        """
        if question.shown_as not in ("Image", "Text"):
            return text_of(field_value(task.data, question.field), question.field)
        if question.markup == PARAGRAPHS and not question.by_url:
            return decoded_text(field_value(task.data, question.field), question)
        if not question.by_url:
            content = self.read(task, field=question.field, object_tag=question.shown_as)
        else:
            content = self.read(task, field=question.field, object_tag="URL")
        return content if question.shown_as == "Image" else decoded_text(content, question)

    def several(self, task: Task, part: ShownObject) -> list[bytes]:
        """The raw contents of a list of images.

        Raises:
            BadItemError: it is not a list of 1 to 50 URLs; or as `read`.
        """
        urls = field_value(task.data, part.field)
        if not isinstance(urls, list) or not 0 < len(urls) <= MOST_PICTURES:
            raise BadItemError(f'field "{part.field}" holds no list of 1 to {MOST_PICTURES} image URLs')
        if not all(isinstance(url, str) and url.strip() for url in urls):
            raise BadItemError(f'field "{part.field}" holds something that is no image URL')
        return [self._content(url.strip(), task.id) for url in urls]

    def known_text(self, task: Task, question: Shown) -> bool:
        """Whether the text of a task can be read without fetching it."""
        url = field_value(task.data, question.field)
        return not question.by_url or (isinstance(url, str) and self.cached(url.strip()) is not None)

    def read(self, task: Task, *, field: str, object_tag: str) -> bytes | str:
        """The raw content of a task's field: for ``Text`` the field itself, otherwise the content at its URL.

        Raises:
            BadItemError: the field is missing or empty, the URL is of an unknown kind, or its content cannot be
                fetched.
        """
        value = field_value(task.data, field)
        if value is None and top_field(field) not in task.data:
            raise BadItemError(f'no field "{field}" in the task\'s data; fields: {", ".join(task.data) or "none"}')
        if object_tag == "Text":
            return text_of(value, field)
        if not isinstance(value, str) or not value.strip():
            raise BadItemError(f'field "{field}" holds no {"image " if object_tag == "Image" else ""}URL')
        return self._content(value.strip(), task.id)

    def _content(self, url: str, task_id: int) -> bytes:
        if scheme_of(url) == "data":
            return decode_data_uri(url)
        content = self.cached(url)
        if content is None:
            try:
                with self.budget.spend():
                    content = self._fetch(url, task_id)
            except ValueError as exc:  # raised by urlsplit, or deep inside the HTTP library
                raise BadItemError(f"{url[:SHOWN]} is no valid URL ({exc})") from exc
        self.fetched(url, content)
        return content

    def _fetch(self, url: str, task_id: int) -> bytes:
        for _ in range(self.fetcher.limits.redirects + 1):
            path = storage_path(url, task_id) or self._file_path(url)
            if path is None:
                return self.fetcher.fetch(url, self.budget)
            answer = self._ask_label_studio(url, path)
            if isinstance(answer, bytes):
                return answer
            url = answer  # the file is a link to another one, or lies in a bucket
        raise BadItemError(f"{url[:SHOWN]}: Label Studio redirects in circles")

    def _ask_label_studio(self, url: str, path: str) -> bytes | str:
        if self.client is None:
            raise BadItemError(
                f"{url[:SHOWN]} is served by Label Studio: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"
            )
        if self.budget.is_over():
            raise BadItemError(self.budget.message(url[:SHOWN]))
        limits = self.fetcher.limits
        budget = Budget(min(limits.seconds, self.budget.left()))
        try:
            with budget.spend():
                return self.client.fetch(path, most_bytes=limits.most_bytes, budget=budget)
        except LabelStudioNotFound as exc:
            if storage_path(url, 0) is None:
                raise BadItemError(str(exc)) from exc
            told = "Label Studio finds no storage of the project that has it; add one in Settings > Cloud Storage"
            raise BadItemError(f"{url[:SHOWN]}: {told}") from exc
        except LabelStudioError as exc:
            raise BadItemError(str(exc)) from exc

    def _file_path(self, url: str) -> str | None:
        """The path of a file that Label Studio keeps; None if the URL belongs to another server.

        Raises:
            BadItemError: a path of Label Studio that does not hold a file of a task.
        """
        label_studio = (self.client.url, *self.client.names) if self.client else ()
        path = file_path(url, *label_studio)
        if path is None and url.startswith("/") and is_own(url, *label_studio):
            raise BadItemError(
                f"{url[:SHOWN]} is no file of a task: of Label Studio's own paths only uploads and storages are read"
            )
        return path


def text_of(value: Any, field: str) -> str:
    """The text in a task's field.

    Raises:
        BadItemError: it is not a text, or only white space.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadItemError(f'field "{field}" holds no text')
    text = str(value).strip()
    if not text:
        raise BadItemError(f'field "{field}" is empty')
    return text


def _words(value: Any, question: Shown) -> str:
    """The words of a text, without its markup."""
    if question.markup == PARAGRAPHS:
        return text_of(words_of_paragraphs(value, question.field, question.text_key), question.field)
    text = text_of(value, question.field)
    return text_of(words_of_html(text), question.field) if question.markup == HTML else text


def decoded_text(content: Any, question: Shown) -> str:
    """The words of a text that is encoded as the config says: from bytes, a text, or a list of utterances.

    Bytes are read as UTF-8, like the page does. With ``base64`` the page decodes byte by byte, so that letters beyond
    ASCII look wrong there; here they are read as their author meant them.

    Raises:
        BadItemError: it is not encoded in this way, or only white space.
    """
    if not isinstance(content, bytes | str):
        return _words(content, question)
    text = content.decode("utf-8-sig", "replace") if isinstance(content, bytes) else content
    if question.encoding != "none":
        try:
            raw = base64.b64decode("".join(text.split()), validate=True)
        except ValueError as exc:
            raise BadItemError(f'field "{question.field}" is not in {question.encoding}: {exc}') from exc
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    return _words(text, question)


def decode_data_uri(uri: str) -> bytes:
    """Content of a ``data:`` URI (RFC 2397).

    As in browsers, base64 may have line breaks and may lack the ``=`` at its end.

    Raises:
        BadItemError: malformed, or too long.
    """
    if len(uri) > LONGEST_DATA_URI:
        raise BadItemError(f"a data URI of {len(uri):,} characters (at most {LONGEST_DATA_URI:,} are read); use URLs")
    head, comma, body = uri.partition(",")
    if not comma:
        raise BadItemError("malformed data URI: no comma")
    try:
        raw = unquote_to_bytes(body)
        if not head.lower().endswith(";base64"):
            return raw
        digits = b"".join(raw.split())
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadItemError(f"malformed data URI: {exc}") from exc
