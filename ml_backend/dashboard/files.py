"""What the dashboard serves beside its pages: JSON, images, versions to take away."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from flask import Flask, Response, jsonify, request, send_file
from werkzeug.exceptions import NotFound

from ml_backend.dashboard import media, projects
from ml_backend.dashboard.address import PREFIX
from ml_backend.dashboard.pages.base import View
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.reading.common import media_field
from ml_backend.dashboard.services import Services
from ml_backend.errors import StoreError
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import export_version

API = f"{PREFIX}api"


def add_routes(server: Flask, services: Services) -> None:
    """Add the routes; errors are the server's JSON ones."""

    def known(project_id: int) -> ProjectStore:
        try:
            return services.store(project_id)
        except StoreError as exc:
            raise NotFound(str(exc)) from exc

    @server.get(f"{API}/projects")
    def api_projects() -> Response:
        return jsonify(projects.read(services))

    @server.get(f"{API}/projects/<int:project_id>/<page>")
    def api_page(project_id: int, page: str) -> Response:
        found = next((each for each in PAGES if each.path == page), None)
        if found is None:
            raise NotFound(f"No such data: {', '.join(each.path for each in PAGES)}.")
        data: dict[str, Any] = found.read(View(services, project_id, known(project_id), request.args))
        return jsonify(data)

    @server.get(f"{PREFIX}<int:project_id>/media/<int:task_id>")
    def task_image(project_id: int, task_id: int) -> Response:
        store = known(project_id)
        return media.answer(store, task_id, media_field(store))

    @server.get(f"{PREFIX}<int:project_id>/versions/<version>.zip")
    def download(project_id: int, version: str) -> Response:
        store = known(project_id)
        if not re.fullmatch(r"[\w.-]+", version) or version not in store.versions():
            raise NotFound(f"Version {version!r} is not stored (any more).")
        return send_file(zipped(store, version), as_attachment=True, download_name=f"{version}.zip")


def zipped(store: ProjectStore, version: str) -> Any:
    """A version with its loading example, as an open file that vanishes when it is closed.

    Raises:
        StoreError: it is missing or damaged.
    """
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who sends it
    with tempfile.TemporaryDirectory() as folder:
        exported = export_version(store, version, Path(folder) / version)
        with ZipFile(archive, "w", ZIP_DEFLATED) as bundle:
            for path in sorted(exported.iterdir()):
                bundle.write(path, f"{version}/{path.name}")
    archive.seek(0)
    return archive
