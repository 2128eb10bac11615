"""The meaning of an address of the dashboard."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from flask import has_request_context, request
from werkzeug.routing import IntegerConverter

PREFIX: Final = "/dashboard/"
UPDATE_PATH: Final = "/_dash-update-component"
"""The end of the address at which Dash updates pages."""
ICON: Final = "data:image/svg+xml," + quote(
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='5' cy='11' r='4' fill='#1f5fb8'/>"
    "<circle cx='11' cy='5' r='4' fill='#d9730d'/></svg>"
)
"""The pages' icon, embedded in each page: a file would be fetched again at every change of the title."""
ADDRESS: Final = re.compile(rf"{PREFIX}(?P<project>[^/]*)/?(?P<page>[^/]*)/?")
NOWHERE: Final = "?"
"""Takes the place of a project if the path has none of our forms."""
LONGEST: Final = 2_000
"""Characters of a query string that are looked at."""


class BoundedInteger(IntegerConverter):
    """A number in a path. There is no page for one with more digits than an id has."""

    regex = "[0-9]{1,18}"


def link(path: str = "") -> str:
    """The address of a page or file below `PREFIX`, for the browser.

    A proxy may serve the whole backend under a path.
    """
    return f"{request.script_root if has_request_context() else ''}{PREFIX}{path}"


def parse_address(path: str) -> tuple[str, str]:
    """Project and page that a path names, as typed; empty if it names none."""
    root = request.script_root if has_request_context() else ""
    found = ADDRESS.fullmatch(unquote(path).removeprefix(root))
    return (found["project"], found["page"]) if found else (NOWHERE, path)


def parameters(search: str | None) -> dict[str, str]:
    """The query of an address. If a name is repeated, the last one counts."""
    return dict(parse_qsl((search or "")[:LONGEST].removeprefix("?")))


def number(text: str) -> int | None:
    """A project's id; None if the text is not one."""
    return int(text) if re.fullmatch(r"[1-9]\d{0,11}", text, re.ASCII) else None
