"""Calls about the tabs of a project's Data Manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_backend.label_studio.http import LabelStudioHttp


class TabCalls(LabelStudioHttp):
    """Data Manager tabs.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def tabs(self, project_id: int) -> list[dict[str, Any]]:
        """Data Manager tabs of a project."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/dm/views", params={"project": project_id}, what=f"Project {project_id}"
        )
        return rows

    def ensure_tab(self, project_id: int, title: str, data: Mapping[str, Any], *, columns: Sequence[str]) -> bool:
        """Make a Data Manager tab, or correct the existing one of this title. Returns whether anything was written.

        A new tab shows only ``columns`` (task data fields as ``data.name``). Which columns it shows later is left to
        the people who use it.
        """
        tabs = self.tabs(project_id)
        for tab in tabs:
            if tab["data"].get("title") == title:
                if all(tab["data"].get(name) == value for name, value in data.items()):
                    return False
                body = {"project": project_id, "data": {**tab["data"], **data}}
                self.request("PATCH", f"api/dm/views/{tab['id']}", body=body, what=f"Tab {title!r}")
                return True
        self._new_tab(project_id, title, data, columns=columns, only=not tabs)
        return True

    def put_tab(
        self, project_id: int, tab_id: int | None, title: str, data: Mapping[str, Any], *, columns: Sequence[str]
    ) -> int:
        """Correct the Data Manager tab of this id, or make a new one if it no longer exists. Returns the tab's id.

        Unlike `ensure_tab`, this does not touch other people's tabs of the same title.
        """
        tabs = self.tabs(project_id)
        tab = next((tab for tab in tabs if tab["id"] == tab_id), None)
        if tab is None:
            return self._new_tab(project_id, title, data, columns=columns, only=not tabs)
        if any(tab["data"].get(name) != value for name, value in data.items()):
            body = {"project": project_id, "data": {**tab["data"], **data}}
            self.request("PATCH", f"api/dm/views/{tab_id}", body=body, what=f"Tab {title!r}")
        return int(tab["id"])

    def delete_tab(self, project_id: int, tab_id: int | None) -> None:
        """Delete the Data Manager tab of this id, if it still exists."""
        if any(tab["id"] == tab_id for tab in self.tabs(project_id)):
            self.request("DELETE", f"api/dm/views/{tab_id}", what=f"Tab {tab_id}")

    def _new_tab(
        self, project_id: int, title: str, data: Mapping[str, Any], *, columns: Sequence[str], only: bool
    ) -> int:
        known = self._columns(project_id)
        if only:  # otherwise ours would be the only tab, and the project's page would not show finished tasks
            self._make_tab(project_id, "Default", {}, hidden=[name for name, usual in known.items() if not usual])
        return self._make_tab(project_id, title, data, hidden=[name for name in known if name not in columns])

    def _make_tab(self, project_id: int, title: str, data: Mapping[str, Any], *, hidden: Sequence[str]) -> int:
        names = [f"tasks:{name}" for name in hidden]
        content = {"title": title, **data, "hiddenColumns": {"explore": names, "labeling": names}}
        body = {"project": project_id, "data": content}
        created = self._json("POST", "api/dm/views", body=body, once=True, what=f"Tab {title!r}")
        return int(created["id"])

    def _columns(self, project_id: int) -> dict[str, bool]:
        """Data Manager columns, and whether Label Studio shows them by default."""
        rows = self._json("GET", "api/dm/columns", params={"project": project_id}, what=f"Project {project_id}")
        return {
            f"data.{row['id']}" if row.get("parent") == "data" else row["id"]: row["visibility_defaults"]["explore"]
            for row in rows["columns"]
            if "visibility_defaults" in row
        }
