"""The interface of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dash import Dash

from ml_backend.dashboard.services import Services
from ml_backend.store.project_store import ProjectStore

Data = dict[str, Any]
"""Can be written as JSON."""
Parameters = Mapping[str, str]
"""Parameters in the page's URL, as somebody typed them."""


@dataclass(frozen=True)
class View:
    """What ``read`` is given: a project, and what the URL asks for."""

    services: Services
    project_id: int
    store: ProjectStore
    parameters: Parameters


def no_callbacks(app: Dash, services: Services) -> None:
    """For a page that only shows something."""


@dataclass(frozen=True)
class Page:
    """One page of a project, at ``/dashboard/<project_id>/<path>``."""

    path: str
    title: str
    read: Callable[[View], Data]
    """Reads plain data from the store, which the API returns as well. Never slow, never from Label Studio."""
    view: Callable[[Data], Any]
    """Makes a layout of that data, without side effects."""
    register: Callable[[Dash, Services], None] = no_callbacks
    """Adds the page's callbacks; called once."""
    live: bool = False
    """Whether it follows a round by itself; other pages offer to show the new results."""
