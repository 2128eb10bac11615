"""Checks what a page sends to Dash before Dash reads it: one of our own pages must be able to have sent it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dash import Dash
from flask import Flask, request
from werkzeug.exceptions import BadRequest

from ml_backend.dashboard.address import UPDATE_PATH

WRONG: Final = "This is no update of a page of the dashboard; load it again."
PLAIN: Final = (str, int, float, bool, type(None))
KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "pathname": (str, type(None)),
    "search": (str, type(None)),
    "n_clicks": (int, type(None)),
    "n_intervals": (int, type(None)),
    "submit_n_clicks": (int, type(None)),
    "value": PLAIN,
    "id": (dict, str),
}
"""Property → the types it can have; others may be any JSON."""


def check_updates(site: Flask, app: Dash) -> None:
    """Answer 400 to anything that none of our pages sends."""

    @site.before_request
    def check() -> None:
        if request.path.endswith(UPDATE_PATH) and not is_update(request.get_json(silent=True), app.callback_map):
            raise BadRequest(WRONG)


def is_update(body: Any, callbacks: Mapping[str, Any]) -> bool:
    """Whether a body asks for an existing callback, with everything that the callback needs."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        return False
    called = callbacks.get(body["output"])
    if called is None or "callback" not in called:
        return False
    changed = body.get("changedPropIds", [])
    return (
        isinstance(changed, list)
        and all(isinstance(name, str) for name in changed)
        and _all_match(body.get("inputs", []), called["inputs"], _is_given)
        and _all_match(body.get("state", []), called["state"], _is_given)
        and _outputs_match(body.get("outputs"), called["output"])
    )


def _outputs_match(given: Any, declared: Any) -> bool:
    wanted = declared if isinstance(declared, list | tuple) else [declared]
    entries = given if isinstance(declared, list | tuple) else [given]
    specs = [{"id": one.component_id_str(), "property": one.component_property} for one in wanted]
    return _all_match(entries, specs, _is_named)


def _all_match(given: Any, wanted: Sequence[Mapping[str, Any]], fits: Callable[[Any, Mapping[str, Any]], bool]) -> bool:
    """Whether each entry is as declared; for a pattern, an entry is a list."""
    if not isinstance(given, list) or len(given) != len(wanted):
        return False
    return all(
        isinstance(entry, list) and all(fits(one, spec) for one in entry)
        if str(spec["id"]).startswith("{")
        else fits(entry, spec)
        for entry, spec in zip(given, wanted, strict=True)
    )


def _is_named(entry: Any, spec: Mapping[str, Any]) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("property"), str):
        return False
    # An output that several callbacks write has a mark behind its name to tell them apart.
    if entry["property"].partition("@")[0] != spec["property"]:
        return False
    declared, given = spec["id"], entry.get("id")
    if not str(declared).startswith("{"):
        return bool(given == declared)
    pattern = json.loads(declared)
    return isinstance(given, dict) and given.keys() == pattern.keys() and all(map(_is_text_or_number, given.values()))


def _is_given(entry: Any, spec: Mapping[str, Any]) -> bool:
    if not _is_named(entry, spec):
        return False
    kinds = KINDS.get(str(spec["property"]))
    return kinds is None or isinstance(entry.get("value"), kinds)


def _is_text_or_number(value: Any) -> bool:
    return isinstance(value, str | int | float)
