"""Routes beside the pages: JSON, images, versions to download, overrides of the order, and labels for many tasks."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Flask, Response, jsonify, request, send_file
from werkzeug.exceptions import NotFound

from ml_backend.dashboard import bulk, media, projects
from ml_backend.dashboard.address import PREFIX
from ml_backend.dashboard.documents import add_documents
from ml_backend.dashboard.overrides import override
from ml_backend.dashboard.packing import compact, zipped
from ml_backend.dashboard.pages.base import View
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.reading.common import media_field, shown_items
from ml_backend.dashboard.reading.maps import points
from ml_backend.dashboard.reading.search import actions
from ml_backend.dashboard.services import Services
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import read

API: Final = f"{PREFIX}api/projects"
PROJECT: Final = f"{API}/<int:project_id>"
MOST_ITEMS: Final = 200
"""Tasks that one request may ask to see."""


def add_routes(site: Flask, services: Services) -> None:
    """Add all of them."""
    add_documents(site)
    _add_data(site, services)
    _add_files(site, services)
    _add_overrides(site, services)
    _add_bulk(site, services)


def _known(services: Services, project_id: int) -> ProjectStore:
    try:
        return services.store(project_id)
    except StoreError as exc:
        raise NotFound(str(exc)) from exc


def _add_data(site: Flask, services: Services) -> None:
    """What pages show, as JSON."""

    @site.get(API)
    def api_projects() -> Response:
        """All projects of the store."""
        return jsonify(projects.read(services))

    @site.get(f"{PROJECT}/<page>")
    def api_page(project_id: int, page: str) -> Response:
        """What a page of the dashboard shows."""
        found = next((each for each in PAGES if each.path == page), None)
        if found is None:
            raise NotFound(f"No such data: {', '.join(each.path for each in PAGES)}.")
        data: dict[str, Any] = found.read(View(services, project_id, _known(services, project_id), request.args))
        return jsonify(data)

    @site.get(f"{PROJECT}/map/<version>")
    def api_map(project_id: int, version: str) -> Response:
        """A version's map of the pool, as columns."""
        store = _known(services, project_id)
        if version not in store.mapped_versions():
            raise NotFound(f"Version {version!r} is not stored (any more), or has no map.")
        return compact(points(store, version))

    @site.get(f"{PROJECT}/items")
    def api_items(project_id: int) -> Response:
        """Text or image address of the tasks in `ids`."""
        store = _known(services, project_id)
        return jsonify({"items": shown_items(store, parse_ids(request.args.get("ids", "")))})


def _add_files(site: Flask, services: Services) -> None:
    """Images of tasks, and versions to download."""

    @site.get(f"{PREFIX}<int:project_id>/media/<int:task_id>")
    def task_image(project_id: int, task_id: int) -> Response:
        """A task's image, as rounds have read it."""
        store = _known(services, project_id)
        return media.answer(store, task_id, media_field(store))

    @site.get(f"{PREFIX}<int:project_id>/versions/<version>.zip")
    def download(project_id: int, version: str) -> Response:
        """A version with an example that loads it."""
        store = _known(services, project_id)
        if not re.fullmatch(r"[\w.-]+", version) or version not in store.versions():
            raise NotFound(f"Version {version!r} is not stored (any more).")
        return send_file(zipped(store, version), as_attachment=True, download_name=f"{version}.zip")


def _add_overrides(site: Flask, services: Services) -> None:
    """The address keeps its older name, because users' scripts may call it."""

    @site.get(f"{PROJECT}/wishes")
    def api_overrides(project_id: int) -> Response:
        """Tasks that people want asked first, and those that they dropped."""
        found = read(_known(services, project_id))
        return jsonify(front=found.front, dropped=found.dropped)

    @site.post(f"{PROJECT}/wishes")
    def api_override(project_id: int) -> Response:
        """Change them: `action` and `task_ids`."""
        store = _known(services, project_id)
        return jsonify(override(services, project_id, store, request.get_json(silent=True)))


def _add_bulk(site: Flask, services: Services) -> None:
    """One label for many tasks. The token in the body is the person's own, and is dropped with the request."""

    @site.get(f"{PROJECT}/bulk")
    def api_bulk(project_id: int) -> Response:
        """What was answered many at once, the newest first."""
        return jsonify(actions=actions(_known(services, project_id)))

    @site.post(f"{PROJECT}/bulk/preview")
    def api_bulk_preview(project_id: int) -> Response:
        """What labelling the tasks in `task_ids` would do."""
        return jsonify(bulk.look(_known(services, project_id), request.get_json(silent=True)))

    @site.post(f"{PROJECT}/bulk")
    def api_bulk_label(project_id: int) -> Response:
        """Give `label` to the next of `task_ids`, under the name of who has the `token`."""
        body = request.get_json(silent=True)
        return jsonify(bulk.label(services, project_id, _known(services, project_id), body))

    @site.post(f"{PROJECT}/bulk/undo")
    def api_bulk_undo(project_id: int) -> Response:
        """Take back the next of what an `action` wrote and nobody changed."""
        body = request.get_json(silent=True)
        return jsonify(bulk.undo(services, project_id, _known(services, project_id), body))


def parse_ids(text: str, most: int = MOST_ITEMS) -> list[int]:
    """Task ids from ``1,2,3``.

    Raises:
        ConfigurationError: malformed, or too many.
    """
    parts = [part for part in text.split(",") if part]
    if not all(part.isascii() and part.isdecimal() and len(part) < 13 for part in parts):
        raise ConfigurationError('"ids" must be task numbers with commas between them, such as 4,8,15.')
    if len(parts) > most:
        raise ConfigurationError(f"At most {most:,} tasks at once; ask for fewer.")
    return [int(part) for part in parts]
