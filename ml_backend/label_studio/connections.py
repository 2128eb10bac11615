"""Calls about the ML backends and webhooks of a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ml_backend.errors import LabelStudioRejected
from ml_backend.label_studio.http import LabelStudioHttp

BACKEND_TITLE: Final = "Active learning"
"""The title under which this product's backend is connected."""
TIMED_OUT: Final = "timed out"
"""Part of Label Studio's message about a backend that did not answer in time, for example because a disk is busy."""
TRIES: Final = 3
"""How often connecting is tried after a time-out: the backend meanwhile finishes what it was asked, and answers next
time."""


class ConnectionCalls(LabelStudioHttp):
    """ML backends and webhooks of a project.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def backends(self, project_id: int) -> list[dict[str, Any]]:
        """The ML backends connected to a project. Label Studio pings each of them before it answers."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/ml", params={"project": project_id}, what=f"Project {project_id}"
        )
        return rows

    def connect_backend(
        self,
        project_id: int,
        url: str,
        *,
        title: str,
        user: str | None = None,
        password: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Connect an ML backend to a project, or correct the existing connection of the same title.

        ``params`` are the connection's extra params; None leaves them as they are.

        Raises:
            LabelStudioRejected: Label Studio could not reach the backend, or the backend refused the project.
        """
        body = {"project": project_id, "url": url, "title": title, "auth_method": "BASIC_AUTH" if user else "NONE"}
        if user:
            body |= {"basic_auth_user": user, "basic_auth_pass": password or ""}
        if params is not None:
            body["extra_params"] = dict(params)
        known = [row for row in self.backends(project_id) if row["title"] == title]
        method, path = ("PATCH", f"api/ml/{known[0]['id']}") if known else ("POST", "api/ml")
        return self._set_connection(method, path, body, f"Connecting {url} to project {project_id}")

    def change_backend(
        self,
        row: Mapping[str, Any],
        changes: Mapping[str, Any],
        *,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        """Change a connected backend. Label Studio asks the backend's ``/health`` and ``/setup`` before it answers.

        It checks a change like a new backend, so URL and basic auth have to be sent along.

        Raises:
            LabelStudioRejected: Label Studio could not reach the backend, or the backend refused the change.
        """
        body = {"project": row["project"], "url": row["url"], "title": row["title"]}
        body |= {"auth_method": "BASIC_AUTH" if user else "NONE"}
        if user:
            body |= {"basic_auth_user": user, "basic_auth_pass": password or ""}
        path = f"api/ml/{int(row['id'])}"
        self._set_connection("PATCH", path, body | dict(changes), f"Backend of project {row['project']}")

    def _set_connection(self, method: str, path: str, body: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Make or change a connection.

        Try again if the backend did not answer in time, since nothing was changed then.
        """
        for left in reversed(range(TRIES)):
            try:
                row: dict[str, Any] = self._json(method, path, body=dict(body), once=True, what=what)
                break
            except LabelStudioRejected as exc:
                if not left or TIMED_OUT not in str(exc):
                    raise
        return row

    def delete_backend(self, backend_id: int) -> None:
        """Disconnect a backend. Its webhook stays."""
        self.request("DELETE", f"api/ml/{backend_id}", what=f"Backend {backend_id}")

    def webhooks(self, project_id: int) -> list[dict[str, Any]]:
        """The project's own webhooks with their headers, oldest first."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/webhooks/", params={"project": project_id}, what=f"Project {project_id}"
        )
        return sorted((row for row in rows if row["project"] == project_id), key=lambda row: int(row["id"]))

    def create_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None:
        """Make a webhook for all actions.

        Without the payload, Label Studio would not even say which project it is about.
        """
        body = {"project": project_id, "url": url, "headers": dict(headers)}
        body |= {"send_payload": True, "send_for_all_actions": True}
        self.request("POST", "api/webhooks/", body=body, once=True, what=f"Webhook {url}")

    def change_webhook(self, webhook_id: int, changes: Mapping[str, Any]) -> None:
        """Change some fields of a webhook."""
        self.request("PATCH", f"api/webhooks/{webhook_id}/", body=dict(changes), what=f"Webhook {webhook_id}")

    def delete_webhook(self, webhook_id: int) -> None:
        """Delete a webhook."""
        self.request("DELETE", f"api/webhooks/{webhook_id}/", what=f"Webhook {webhook_id}")
