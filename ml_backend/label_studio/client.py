"""Everything said to Label Studio: projects, tasks, predictions, tabs.

Where the SDK has no typed call, or one too slow for thousands of rows, the request goes through the SDK's own HTTP
client (`label_studio_http`).
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from ml_backend.errors import (
    LabelStudioNotFound,
    LabelStudioRejected,
    LabelStudioUnreachable,
)
from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.records import Annotation, Project, Task

UNCERTAINTY_SAMPLING = "Uncertainty sampling"
"""Works in the open-source edition; only its web page does not offer it."""
PAGE_SIZE = 1000
ROW_FIELDS = "id,data,is_labeled,updated_at,annotations,result,completed_by,was_cancelled"
"""``include`` filters tasks and the annotations inside them by the same names."""
SETTLING_TIME = timedelta(seconds=10)
"""A row can become visible this long after the time it carries (a slow transaction): read it once more."""
BACKEND_TITLE = "Active learning"
"""Under which this product's backend is connected."""
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class LabelStudioClient(LabelStudioHttp):
    """One account's view of one Label Studio.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    # --- projects ----------------------------------------------------------------------------------------------

    def whoami(self) -> Mapping[str, Any]:
        """The account that the token belongs to."""
        account: Mapping[str, Any] = self._json("GET", "api/current-user/whoami")
        return account

    def project(self, project_id: int) -> Project:
        """One project as it is now."""
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
        )

    def find_project(self, title: str) -> Project | None:
        """The oldest project with exactly this title."""
        rows = self._json("GET", "api/projects", params={"title": title, "page_size": 100, "include": "id,title"})
        ids = sorted(row["id"] for row in rows["results"] if row["title"] == title)
        return self.project(ids[0]) if ids else None

    def create_project(self, title: str, label_config: str, *, description: str = "") -> Project:
        """A new project that serves by uncertainty and shows predictions."""
        row = self._json(
            "POST",
            "api/projects",
            body={
                "title": title,
                "description": description,
                "label_config": label_config,
                "sampling": UNCERTAINTY_SAMPLING,
                "show_collab_predictions": True,
                "enable_empty_annotation": False,
            },
            once=True,
            what=f"Creating project {title!r}",
        )
        return self.project(row["id"])

    def backends(self, project_id: int) -> list[dict[str, Any]]:
        """ML backends connected to a project. Label Studio pings each one to answer."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/ml", params={"project": project_id}, what=f"Project {project_id}"
        )
        return rows

    def connect_backend(
        self, project_id: int, url: str, *, title: str, user: str | None = None, password: str | None = None
    ) -> dict[str, Any]:
        """Connect an ML backend to a project, or correct the connection of the same title.

        Raises:
            LabelStudioRejected: Label Studio could not reach the backend, or the backend refused the project.
        """
        body = {"project": project_id, "url": url, "title": title, "auth_method": "BASIC_AUTH" if user else "NONE"}
        if user:
            body |= {"basic_auth_user": user, "basic_auth_pass": password or ""}
        known = [row for row in self.backends(project_id) if row["title"] == title]
        method, path = ("PATCH", f"api/ml/{known[0]['id']}") if known else ("POST", "api/ml")
        row: dict[str, Any] = self._json(
            method, path, body=body, once=True, what=f"Connecting {url} to project {project_id}"
        )
        return row

    def change_backend(
        self,
        row: Mapping[str, Any],
        changes: Mapping[str, Any],
        *,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        """Change a connected backend. Label Studio asks the backend's ``/health`` and ``/setup`` before it answers.

        It checks a change as it checks a new backend: URL and basic auth must go along.

        Raises:
            LabelStudioRejected: Label Studio could not reach the backend, or the backend refused the change.
        """
        body = {"project": row["project"], "url": row["url"], "title": row["title"]}
        body |= {"auth_method": "BASIC_AUTH" if user else "NONE"}
        if user:
            body |= {"basic_auth_user": user, "basic_auth_pass": password or ""}
        path = f"api/ml/{int(row['id'])}"
        self.request("PATCH", path, body=body | dict(changes), once=True, what=f"Backend of project {row['project']}")

    def webhooks(self, project_id: int) -> list[dict[str, Any]]:
        """The project's own webhooks, oldest first, with their headers."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/webhooks/", params={"project": project_id}, what=f"Project {project_id}"
        )
        return sorted((row for row in rows if row["project"] == project_id), key=lambda row: int(row["id"]))

    def create_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None:
        """Make a webhook for all actions. Without the payload, Label Studio would not even name the project."""
        body = {"project": project_id, "url": url, "headers": dict(headers)}
        body |= {"send_payload": True, "send_for_all_actions": True}
        self.request("POST", "api/webhooks/", body=body, once=True, what=f"Webhook {url}")

    def change_webhook(self, webhook_id: int, changes: Mapping[str, Any]) -> None:
        """Change some of a webhook's fields."""
        self.request("PATCH", f"api/webhooks/{webhook_id}/", body=dict(changes), what=f"Webhook {webhook_id}")

    def delete_webhook(self, webhook_id: int) -> None:
        """Delete one webhook."""
        self.request("DELETE", f"api/webhooks/{webhook_id}/", what=f"Webhook {webhook_id}")

    # --- reading -----------------------------------------------------------------------------------------------

    def task_ids(self, project_id: int) -> set[int]:
        """Ids of all tasks that exist now."""
        return {row["id"] for page in self._by_id(project_id, "id", "task_only") for row in page}

    def task_outlines(self, project_id: int) -> Iterator[list[Task]]:
        """All tasks without their annotations, in pages, by rising id: half the time of ``all_tasks``."""
        for page in self._by_id(project_id, "id,data,is_labeled", "task_only"):
            yield [Task(row["id"], row["data"], bool(row["is_labeled"])) for row in page]

    def all_tasks(self, project_id: int) -> Iterator[list[dict[str, Any]]]:
        """All tasks with their annotations, in pages of raw rows, by rising id."""
        return self._by_id(project_id, ROW_FIELDS, "all")

    def _by_id(self, project_id: int, include: str, fields: str) -> Iterator[list[dict[str, Any]]]:
        last = 0
        while True:
            condition = _condition("id", "greater", "Number", last)
            rows, _ = self._task_page(project_id, condition, "tasks:id", include=include, fields=fields)
            if rows:
                yield rows
                last = rows[-1]["id"]
            if len(rows) < PAGE_SIZE:
                return

    def newest_change(self, project_id: int) -> str:
        """A time from which ``changed_tasks`` misses nothing that happens after this call."""
        newest, now = self._newest(project_id)
        return min(newest or datetime.fromtimestamp(0, UTC), now - SETTLING_TIME).strftime(TIME_FORMAT)

    def newest_update(self, project_id: int) -> str | None:
        """Time of the newest change of any task: it stays the same until something changes."""
        newest, _ = self._newest(project_id)
        return newest.strftime(TIME_FORMAT) if newest else None

    def _newest(self, project_id: int) -> tuple[datetime | None, datetime]:
        """Time of the newest change, and Label Studio's own time."""
        rows, now = self._task_page(project_id, None, "-tasks:updated_at", include="id,updated_at", page_size=1)
        return _time(rows[0]["updated_at"]) if rows else None, now

    def changed_tasks(self, project_id: int, since: str) -> Iterator[list[dict[str, Any]]]:
        """Tasks created, edited or (un)annotated after ``since``, in pages of raw rows, by rising time of change.

        Label Studio moves a task's ``updated_at`` when the task or one of its annotations is written, not when
        predictions are: publishing a queue is no change.
        """
        page, seen = 1, set[tuple[int, str]]()
        while True:
            operator = "greater" if not seen else "greater_or_equal"  # later pages may start inside one instant
            condition = _condition("updated_at", operator, "Datetime", since)
            rows, _ = self._task_page(project_id, condition, "tasks:updated_at", page=page)
            fresh = [row for row in rows if (row["id"], row["updated_at"]) not in seen]
            if fresh:
                yield fresh
            if len(rows) < PAGE_SIZE:
                return
            seen.update((row["id"], row["updated_at"]) for row in rows)
            newest = _time(rows[-1]["updated_at"]).strftime(TIME_FORMAT)
            since, page = (newest, 1) if newest > since else (since, page + 1)

    def _task_page(
        self,
        project_id: int,
        condition: Mapping[str, Any] | None,
        ordering: str,
        *,
        include: str = ROW_FIELDS,
        fields: str = "all",
        page: int = 1,
        page_size: int = PAGE_SIZE,
    ) -> tuple[list[dict[str, Any]], datetime]:
        """One page of tasks and Label Studio's own time."""
        query: dict[str, Any] = {"ordering": [ordering]}
        if condition:
            query["filters"] = {"conjunction": "and", "items": [condition]}
        try:
            response = self.request(
                "GET",
                "api/tasks",
                params={
                    "project": project_id,
                    "page": page,
                    "page_size": page_size,
                    "fields": fields,
                    "include": include,
                    "resolve_uri": "false",
                    "query": json.dumps(query),
                },
                what=f"Project {project_id}",
            )
        except LabelStudioNotFound:
            if page > 1:  # Label Studio answers 404 to a page behind the last
                return [], datetime.now(UTC)
            raise
        return self._content(response)["tasks"], _server_time(response)

    def export(self, project_id: int) -> list[dict[str, Any]]:
        """Annotated tasks in Label Studio's own JSON export format."""
        rows: list[dict[str, Any]] = self._json(
            "GET",
            f"api/projects/{project_id}/export",
            params={"exportType": "JSON", "download_all_tasks": "false"},
            what=f"Project {project_id}",
        )
        return rows

    # --- tasks and annotations ---------------------------------------------------------------------------------

    def import_tasks(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create tasks (``{"data": ..., "annotations": [...]}``); ids in the same order."""
        answer = self._json(
            "POST",
            f"api/projects/{project_id}/import",
            params={"return_task_ids": "true"},
            body=list(tasks),
            once=True,
            what=f"Importing {len(tasks)} tasks into project {project_id}",
        )
        ids: list[int] = answer["task_ids"]
        return ids

    def next_task(self, project_id: int) -> dict[str, Any] | None:
        """The task that "Label All Tasks" shows next (and locks for this account); None when none is left."""
        try:
            row: dict[str, Any] = self._json(
                "POST", "api/dm/actions", params={"id": "next_task", "project": project_id}, body={}
            )
        except LabelStudioNotFound:
            self.project(project_id)  # tells a missing project from an empty label stream
            return None
        return row

    def annotate(self, task_id: int, result: Sequence[Mapping[str, Any]], *, cancelled: bool = False) -> int:
        """Submit an annotation as the token's account; its id."""
        row = self._json(
            "POST",
            f"api/tasks/{task_id}/annotations/",
            body={"result": list(result), "was_cancelled": cancelled},
            once=True,
            what=f"Annotating task {task_id}",
        )
        return int(row["id"])

    def delete_annotation(self, annotation_id: int) -> None:
        """Delete one annotation."""
        self.request("DELETE", f"api/annotations/{annotation_id}/", what=f"Annotation {annotation_id}")

    # --- predictions and order ---------------------------------------------------------------------------------

    def import_predictions(self, project_id: int, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions in one call.

        Raises:
            LabelStudioRejected: it took fewer than it was sent. Label Studio drops a prediction with a score
                outside [0, 1] or an unknown ``from_name`` without an error.
        """
        answer = self._json(
            "POST",
            f"api/projects/{project_id}/import/predictions",
            body=list(predictions),
            once=True,
            what=f"Importing {len(predictions)} predictions into project {project_id}",
        )
        if answer.get("created") != len(predictions):
            raise LabelStudioRejected(
                f"Label Studio took {answer.get('created')} of {len(predictions)} predictions of project {project_id}: "
                f"its labeling config and the model's differ, or tasks were deleted meanwhile. Run the sync again."
            )

    def serve_version(self, project_id: int, version: str) -> None:
        """Serve the predictions of ``version``, lowest score first. Both settings change in one request."""
        self.request(
            "PATCH",
            f"api/projects/{project_id}",
            body={"model_version": version, "sampling": UNCERTAINTY_SAMPLING},
            what=f"Project {project_id}",
        )

    def version_ages(self, project_id: int) -> dict[str, timedelta]:
        """Model versions that have predictions, with how long ago the newest of them was written.

        By Label Studio's clock, whose answers tell whole seconds: an age may be up to a second too small.
        """
        response = self.request(
            "GET",
            f"api/projects/{project_id}/model-versions",
            params={"extended": "true"},
            what=f"Project {project_id}",
        )
        now = _server_time(response)
        return {row["model_version"]: now - _time(row["latest"]) for row in self._content(response)["static"]}

    def prediction_versions(self, project_id: int) -> dict[str, int]:
        """Model versions that have predictions, with how many."""
        answer = self._json(
            "GET",
            f"api/projects/{project_id}/model-versions",
            params={"extended": "true"},
            what=f"Project {project_id}",
        )
        return {row["model_version"]: row["count"] for row in answer["static"]}

    def predictions(self, project_id: int) -> list[dict[str, Any]]:
        """All predictions of a project, as raw rows."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/predictions", params={"project": project_id}, what=f"Project {project_id}"
        )
        return rows

    def prediction_id(self, task_id: int, version: str) -> int:
        """The prediction of one task under one model version.

        Raises:
            LabelStudioNotFound: there is none.
        """
        what = f"The prediction of task {task_id} under {version}"
        rows = self._json("GET", "api/predictions", params={"task": task_id}, what=what)
        found = [int(row["id"]) for row in rows if row["model_version"] == version]
        if not found:
            raise LabelStudioNotFound(f"{what} does not exist at {self.url}.")
        return found[0]

    def score_prediction(self, prediction_id: int, score: float) -> None:
        """Give one prediction another score. This moves its task's time of change, as an answer does."""
        self.request(
            "PATCH", f"api/predictions/{prediction_id}/", body={"score": score}, what=f"Prediction {prediction_id}"
        )

    def delete_version(self, project_id: int, version: str) -> None:
        """Delete all predictions of one model version (about 7 ms each)."""
        self.request(
            "DELETE",
            f"api/projects/{project_id}/model-versions",
            body={"model_version": version},
            what=f"Version {version} of project {project_id}",
        )

    def tabs(self, project_id: int) -> list[dict[str, Any]]:
        """Data Manager tabs of a project."""
        rows: list[dict[str, Any]] = self._json(
            "GET", "api/dm/views", params={"project": project_id}, what=f"Project {project_id}"
        )
        return rows

    def ensure_tab(self, project_id: int, title: str, data: Mapping[str, Any], *, columns: Sequence[str]) -> bool:
        """Make a Data Manager tab, or set an existing one of this title right. Whether anything was written.

        A new tab shows ``columns`` only (task data fields as ``data.name``); which ones it shows later is left to
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
        """Set the Data Manager tab of this id right, or make a new one where it is gone; its id.

        Unlike `ensure_tab`, this leaves tabs of the same title that others made alone.
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
        """Delete the Data Manager tab of this id, where it still exists."""
        if any(tab["id"] == tab_id for tab in self.tabs(project_id)):
            self.request("DELETE", f"api/dm/views/{tab_id}", what=f"Tab {tab_id}")

    def _new_tab(
        self, project_id: int, title: str, data: Mapping[str, Any], *, columns: Sequence[str], only: bool
    ) -> int:
        known = self._columns(project_id)
        if only:  # else ours would be the only tab, and the project's page would not show the finished tasks
            self._make_tab(project_id, "Default", {}, hidden=[name for name, usual in known.items() if not usual])
        return self._make_tab(project_id, title, data, hidden=[name for name in known if name not in columns])

    def _make_tab(self, project_id: int, title: str, data: Mapping[str, Any], *, hidden: Sequence[str]) -> int:
        names = [f"tasks:{name}" for name in hidden]
        content = {"title": title, **data, "hiddenColumns": {"explore": names, "labeling": names}}
        body = {"project": project_id, "data": content}
        created = self._json("POST", "api/dm/views", body=body, once=True, what=f"Tab {title!r}")
        return int(created["id"])

    def _columns(self, project_id: int) -> dict[str, bool]:
        """Data Manager columns, and whether Label Studio shows them unless told otherwise."""
        rows = self._json("GET", "api/dm/columns", params={"project": project_id}, what=f"Project {project_id}")
        return {
            f"data.{row['id']}" if row.get("parent") == "data" else row["id"]: row["visibility_defaults"]["explore"]
            for row in rows["columns"]
            if "visibility_defaults" in row
        }


def installed_version(url: str, *, timeout: float = 10.0) -> str:
    """Version of the Label Studio at ``url``; needs no token.

    Raises:
        LabelStudioUnreachable: none answers there.
    """
    try:
        answer = httpx.get(f"{url}/api/version", timeout=timeout, follow_redirects=True)
        return str(answer.raise_for_status().json()["release"])
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise LabelStudioUnreachable(f"No Label Studio answers at {url} ({exc}).") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise LabelStudioUnreachable(f"What answers at {url} is no Label Studio.") from exc


def task_from_row(row: Mapping[str, Any]) -> Task:
    """A task from one raw row of ``all_tasks`` or ``changed_tasks``."""
    annotations = tuple(
        Annotation(
            id=item["id"],
            annotator=item.get("completed_by"),
            updated_at=_time(item["updated_at"]),
            result=tuple(item.get("result") or ()),
            cancelled=bool(item.get("was_cancelled")),
        )
        for item in row.get("annotations") or ()
    )
    return Task(id=row["id"], data=row["data"], is_labeled=bool(row["is_labeled"]), annotations=annotations)


def _condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _server_time(response: httpx.Response) -> datetime:
    header = response.headers.get("date")
    return email.utils.parsedate_to_datetime(header).astimezone(UTC) if header else datetime.now(UTC)
