"""What an address of the dashboard means."""

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
"""The pages' icon, in each page itself: a file would be fetched anew with every change of the title."""
ADDRESS: Final = re.compile(rf"{PREFIX}(?P<project>[^/]*)/?(?P<page>[^/]*)/?")
NOWHERE: Final = "?"
"""In place of a project: the path has none of our forms."""
LONGEST: Final = 2_000
"""Characters of a query string that are looked at."""


class BoundedInteger(IntegerConverter):
    """A number in a path: of more digits than an id has, there is no page."""

    regex = "[0-9]{1,18}"


def link(path: str = "") -> str:
    """Where the browser finds a page or file below `PREFIX`: a proxy may serve all of the backend under a path."""
    return f"{request.script_root if has_request_context() else ''}{PREFIX}{path}"


def parse_address(path: str) -> tuple[str, str]:
    """Project and page that a path names, as typed; empty where it names none."""
    root = request.script_root if has_request_context() else ""
    found = ADDRESS.fullmatch(unquote(path).removeprefix(root))
    return (found["project"], found["page"]) if found else (NOWHERE, path)


def parameters(search: str | None) -> dict[str, str]:
    """The query of an address; of a repeated name the last counts."""
    return dict(parse_qsl((search or "")[:LONGEST].removeprefix("?")))


def number(text: str) -> int | None:
    """A project's id; None where the text is none."""
    return int(text) if re.fullmatch(r"[1-9]\d{0,11}", text, re.ASCII) else None
