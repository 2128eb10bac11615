"""JSON beside the pages: one version's map, what tasks show, and wishes about the order."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import NotFound

from ml_backend.dashboard import words
from ml_backend.dashboard.address import PREFIX
from ml_backend.dashboard.reading.common import shown_items
from ml_backend.dashboard.reading.maps import points
from ml_backend.dashboard.services import Services
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds.options import RoundOptions
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import ACTIONS, MOST, change, read

API: Final = f"{PREFIX}api/projects/<int:project_id>"
MOST_ITEMS: Final = 200
"""Tasks that one request may ask to be shown."""
QUICK: Final = 1
"""Level of gzip: of a map of 10,000 points it takes 6 ms to a third; level 5 takes 19 ms, and saves 6 % more."""
DONE: Final = {
    "boost": "will be asked next",
    "pin": "will be asked first, after those that were pinned before",
    "drop": "will not be asked",
    "undo": "back to the model's own choice",
}


def add_routes(server: Flask, services: Services) -> None:
    """Add the routes; errors are the server's JSON ones."""

    def known(project_id: int) -> ProjectStore:
        try:
            return services.store(project_id)
        except StoreError as exc:
            raise NotFound(str(exc)) from exc

    @server.get(f"{API}/map/<version>")
    def api_map(project_id: int, version: str) -> Response:
        store = known(project_id)
        if version not in store.mapped_versions():
            raise NotFound(f"Version {version!r} is not stored (any more), or has no map.")
        return compact(points(store, version))

    @server.get(f"{API}/items")
    def api_items(project_id: int) -> Response:
        store = known(project_id)
        return jsonify({"items": shown_items(store, parse_ids(request.args.get("ids", "")))})

    @server.get(f"{API}/wishes")
    def api_wishes(project_id: int) -> Response:
        wishes = read(known(project_id))
        return jsonify(front=wishes.front, dropped=wishes.dropped)

    @server.post(f"{API}/wishes")
    def api_wish(project_id: int) -> Response:
        return jsonify(wish(services, project_id, known(project_id), request.get_json(silent=True)))


def compact(data: Mapping[str, Any]) -> Response:
    """JSON, gzipped for who takes it; 304 where the browser has it."""
    text = json.dumps(data, separators=(",", ":")).encode()
    response = Response(text, mimetype="application/json")
    response.set_etag(hashlib.sha256(text).hexdigest()[:32])
    response.cache_control.private = response.cache_control.no_cache = True
    response.vary.add("Accept-Encoding")
    response.make_conditional(request)
    if response.status_code == 200 and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(text, QUICK, mtime=0))
        response.content_encoding = "gzip"
    return response


def parse_ids(text: str) -> list[int]:
    """Task ids from ``1,2,3``.

    Raises:
        ConfigurationError: malformed, or too many.
    """
    parts = [part for part in text.split(",") if part]
    if not all(part.isascii() and part.isdecimal() and len(part) < 13 for part in parts):
        raise ConfigurationError('"ids" must be task numbers with commas between them, such as 4,8,15.')
    if len(parts) > MOST_ITEMS:
        raise ConfigurationError(f"At most {MOST_ITEMS} tasks at once; ask for fewer.")
    return [int(part) for part in parts]


def wish(services: Services, project_id: int, store: ProjectStore, body: Any) -> dict[str, Any]:
    """Take a wish, and ask for a round that orders anew without training; what to tell the person.

    Tasks that are answered, skipped, held out or gone cannot be wanted; they are left out and counted.

    Raises:
        ConfigurationError: the request is malformed, none of its tasks is open, or rounds cannot run.
    """
    if not isinstance(body, dict) or not isinstance(body.get("action"), str):
        raise ConfigurationError(f'Send {{"action": ..., "task_ids": [...]}} with one of: {", ".join(ACTIONS)}.')
    action, task_ids = body["action"], body.get("task_ids")
    if not isinstance(task_ids, list) or not all(type(task) is int and 0 < task < 2**63 for task in task_ids):
        raise ConfigurationError('"task_ids" must be a list of task numbers, at least one.')
    if len(task_ids) > MOST:
        raise ConfigurationError(f"At most {MOST:,} tasks at once; choose fewer.")
    taken = task_ids if action == "undo" else _open(store, task_ids)
    if task_ids and not taken:
        raise ConfigurationError("None of these tasks is open: they are answered, skipped, held out, or gone.")
    now = change(store, action, taken)
    services.ask(project_id, RoundOptions(train=False))
    told = f"{words.count(len(taken), 'task')} {DONE[action]}."
    if len(taken) < len(task_ids):
        left = len(task_ids) - len(taken)
        told += f" {words.count(left, 'task')} left out: answered, skipped, held out, or gone."
    return {
        "message": f"{told} The new order is on its way.",
        "taken": taken,
        "front": now.front,
        "dropped": now.dropped,
    }


def _open(store: ProjectStore, task_ids: Sequence[int]) -> list[int]:
    """Those that a queue could hold, by what the last round read; all, where rounds run on another machine."""
    if not store.task_cache_path.exists():
        return list(task_ids)
    can_be_asked = {
        task.id
        for task in TaskCache(store.task_cache_path).find(task_ids)
        if not (task.is_labeled or task.is_evaluation or task.is_skipped)
    }
    return [task for task in task_ids if task in can_be_asked]
