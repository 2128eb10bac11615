"""Calls that read tasks: all of them, or what changed since a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ml_backend.errors import LabelStudioNotFound
from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.label_studio.task_rows import TIME_FORMAT, parse_time
from ml_backend.records import Task

PAGE_SIZE: Final = 1000
ROW_FIELDS: Final = "id,data,is_labeled,updated_at,annotations,result,completed_by,was_cancelled"
"""``include`` filters tasks and the annotations inside them by the same names."""
SETTLING_TIME: Final = timedelta(seconds=10)
"""A row can become visible this long after the time it carries (a slow transaction): read it once more."""


class TaskReadingCalls(LabelStudioHttp):
    """Tasks with their annotations.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    page_size: int = PAGE_SIZE
    settling_time: timedelta = SETTLING_TIME

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
            if len(rows) < self.page_size:
                return

    def newest_change(self, project_id: int) -> str:
        """A time from which ``changed_tasks`` misses nothing that happens after this call."""
        newest, now = self._newest(project_id)
        return min(newest or datetime.fromtimestamp(0, UTC), now - self.settling_time).strftime(TIME_FORMAT)

    def newest_update(self, project_id: int) -> str | None:
        """Time of the newest change of any task: it stays the same until something changes."""
        newest, _ = self._newest(project_id)
        return newest.strftime(TIME_FORMAT) if newest else None

    def _newest(self, project_id: int) -> tuple[datetime | None, datetime]:
        """Time of the newest change, and Label Studio's own time."""
        rows, now = self._task_page(project_id, None, "-tasks:updated_at", include="id,updated_at", page_size=1)
        return parse_time(rows[0]["updated_at"]) if rows else None, now

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
            if len(rows) < self.page_size:
                return
            seen.update((row["id"], row["updated_at"]) for row in rows)
            newest = parse_time(rows[-1]["updated_at"]).strftime(TIME_FORMAT)
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
        page_size: int | None = None,
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
                    "page_size": page_size or self.page_size,
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
        return self._content(response)["tasks"], self.server_time(response)


def _condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}
