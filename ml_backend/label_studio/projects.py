"""Calls about projects and about the token's account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from ml_backend.errors import LabelStudioUnauthorized, LabelStudioUnreachable
from ml_backend.fetching.clients import ask
from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.records import Project

VERSION_TIMEOUT: Final = 10.0
"""Seconds to wait for the version number, which is never asked for under load."""
UNCERTAINTY_SAMPLING: Final = "Uncertainty sampling"
"""Works in the open-source edition, although its web page does not offer it."""
TESTED_VERSIONS: Final = ("1.20.0", "1.22.0", "1.23.2")
"""Releases of Label Studio that the tests run with, oldest first; the last is the one that the package installs."""


class ProjectCalls(LabelStudioHttp):
    """Projects and the account.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def whoami(self) -> Mapping[str, Any]:
        """The account that the token belongs to."""
        account: Mapping[str, Any] = self._json("GET", "api/current-user/whoami")
        return account

    def version(self) -> str:
        """The release of this Label Studio."""
        return str(self._json("GET", "api/version")["release"])

    def emails(self) -> dict[int, str]:
        """E-mail addresses by account id; empty if this account may not read them. Any other failure is raised."""
        try:
            rows = self._json("GET", "api/users/", what="The list of accounts")
        except LabelStudioUnauthorized:
            return {}
        return {row["id"]: row["email"] for row in rows if row.get("email")}

    def project(self, project_id: int) -> Project:
        """The present state of a project."""
        row = self._json("GET", f"api/projects/{project_id}", what=f"Project {project_id}")
        created = datetime.fromisoformat(row["created_at"])
        return Project(
            id=row["id"],
            uid=f"{row['id']}.{int(created.timestamp())}",
            title=row["title"],
            label_config=row["label_config"] or "",
            model_version=row.get("model_version") or "",
            sampling=row["sampling"],
            maximum_annotations=row["maximum_annotations"],
            task_count=row["task_number"] or 0,
            annotation_count=(row["total_annotations_number"] or 0) + (row["skipped_annotations_number"] or 0),
            takes_empty=bool(row.get("enable_empty_annotation", True)),
        )

    def find_project(self, title: str) -> Project | None:
        """The oldest project with exactly this title."""
        rows = self._json("GET", "api/projects", params={"title": title, "page_size": 100, "include": "id,title"})
        ids = sorted(row["id"] for row in rows["results"] if row["title"] == title)
        return self.project(ids[0]) if ids else None

    def create_project(
        self, title: str, label_config: str, *, description: str = "", takes_empty: bool = False
    ) -> Project:
        """Create a project that serves by uncertainty and shows predictions.

        ``takes_empty``: whether an annotation in which nothing is chosen is an answer.
        """
        row = self._json(
            "POST",
            "api/projects",
            body={
                "title": title,
                "description": description,
                "label_config": label_config,
                "sampling": UNCERTAINTY_SAMPLING,
                "show_collab_predictions": True,
                "enable_empty_annotation": takes_empty,
            },
            once=True,
            what=f"Creating project {title!r}",
        )
        return self.project(row["id"])

    def take_empty(self, project_id: int) -> None:
        """Allow people to submit annotations in which nothing is chosen."""
        body = {"enable_empty_annotation": True}
        self.request("PATCH", f"api/projects/{project_id}", body=body, what=f"Project {project_id}")


def installed_version(url: str, *, ca_file: Path | None) -> str:
    """The version of the Label Studio at ``url``; needs no token.

    Raises:
        LabelStudioUnreachable: no Label Studio answers there.
    """
    try:
        answer = ask("GET", f"{url}/api/version", timeout=VERSION_TIMEOUT, ca_file=ca_file, follow_redirects=True)
        return str(answer.raise_for_status().json()["release"])
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise LabelStudioUnreachable(f"No Label Studio answers at {url} ({exc}).") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise LabelStudioUnreachable(f"What answers at {url} is not a Label Studio.") from exc


def untested(version: str) -> str | None:
    """A warning about a release that was not tested; None for one that was.

    An untested release is not refused: whether the order holds can be proved on it (`lsal doctor --order`).
    """
    if version in TESTED_VERSIONS:
        return None
    return f"Label Studio {version} was not tested ({', '.join(TESTED_VERSIONS[:-1])} and {TESTED_VERSIONS[-1]} were)"
