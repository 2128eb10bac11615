"""Where the project stands."""

from __future__ import annotations

from typing import Any

from ml_backend.dashboard import parts
from ml_backend.dashboard.pages.base import Data, Page, View


def read(view: View) -> Data:
    """What the store says of the present."""
    current = view.store.current()
    return {"version": current.version, "queue": current.queue}


def view(data: Data) -> Any:
    """The page."""
    return parts.page("Overview", parts.notice(str(data["version"])))


PAGE = Page("overview", "Overview", read, view)
