"""One task's image, taken from what rounds have read: pages never wait for Label Studio or a bucket."""

from __future__ import annotations

import hashlib
from typing import Final

from flask import Response, request

from ml_backend.encoders.pictures import header
from ml_backend.errors import BadItemError, LabelConfigError
from ml_backend.label_studio.media import decode_data_uri
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.task_fields import field_value
from ml_backend.records import Task
from ml_backend.store.project_store import ProjectStore

KEPT_FOR: Final = 3600
"""Seconds that a browser keeps an image without asking again."""
TYPES: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
"""Pillow's name → content type. No SVG, which may contain scripts."""
PLACEHOLDER: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="no image">'
    b'<rect x="1" y="1" width="62" height="62" rx="6" fill="none" stroke="#8b8f98" stroke-dasharray="4 3"/>'
    b'<path d="M20 32h24" stroke="#8b8f98" stroke-width="2"/></svg>'
)
"""Our own image, shown if the task's image was not read on this machine."""


def image_bytes(store: ProjectStore, task: Task, field: str) -> bytes | None:
    """The image in a task's field as rounds read it; None if this machine has not read it.

    Raises:
        StoreError: the task cache is damaged.
    """
    value = field_value(task.data, field)
    if not isinstance(value, str):
        return None
    if value.strip().startswith("data:"):
        try:
            return decode_data_uri(value.strip())
        except BadItemError:
            return None
    return TaskCache(store.task_cache_path).picture(value.strip())


def content_type(content: bytes) -> str | None:
    """The type according to the first bytes, never to what a server claimed; None if a page may not show it."""
    try:
        return TYPES.get(header(content).format)
    except BadItemError:
        return None


def answer(store: ProjectStore, task_id: int, field: str | None) -> Response:
    """The task's image with an ETag, or the placeholder; 304 if the browser has it already."""
    task = next(iter(TaskCache(store.task_cache_path).find([task_id])), None)
    try:
        content = image_bytes(store, task, field) if task is not None and field is not None else None
    except LabelConfigError:
        content = None
    kind = content_type(content) if content is not None else None
    if content is None or kind is None:
        response = Response(PLACEHOLDER, mimetype="image/svg+xml")
        response.cache_control.no_store = True  # the next round may bring the image
        return response
    response = Response(content, mimetype=kind)
    response.set_etag(hashlib.sha256(content).hexdigest()[:32])
    response.cache_control.private, response.cache_control.max_age = True, KEPT_FOR
    response.make_conditional(request)
    return response
