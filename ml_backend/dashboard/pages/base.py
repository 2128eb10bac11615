"""What a page is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dash import Dash

from ml_backend.dashboard.services import Services
from ml_backend.store.project_store import ProjectStore

Data = dict[str, Any]
"""JSON-able."""
Parameters = Mapping[str, str]
"""Of the page's URL, as somebody typed them."""


@dataclass(frozen=True)
class View:
    """What ``read`` is given: one project, and what the URL asks for."""

    services: Services
    project_id: int
    store: ProjectStore
    parameters: Parameters


def no_callbacks(app: Dash, services: Services) -> None:
    """A page that only shows."""


@dataclass(frozen=True)
class Page:
    """One page of a project, at ``/dashboard/<project_id>/<path>``."""

    path: str
    title: str
    read: Callable[[View], Data]
    """Plain data from the store: what the API gives. Never slow, never Label Studio."""
    view: Callable[[Data], Any]
    """A layout of that data; pure."""
    register: Callable[[Dash, Services], None] = no_callbacks
    """Adds the page's callbacks; called once."""
    live: bool = False
    """Whether it follows a round by itself; others offer to show the new results."""
