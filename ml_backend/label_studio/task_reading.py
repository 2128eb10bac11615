"""Calls that read tasks: all of them, or those that changed since a given time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ml_backend.label_studio.task_pages import PART, LeftOut, TaskPageCalls, Wanted, condition, log_left_out
from ml_backend.label_studio.task_rows import TIME_FORMAT, parse_time
from ml_backend.records import Task

ROW_FIELDS: Final = "id,data,is_labeled,updated_at,annotations,result,completed_by,was_cancelled"
"""``include`` filters tasks, and the annotations inside them, by the same names."""
PREDICTION_FIELDS: Final = "id,updated_at,predictions"
SETTLING_TIME: Final = timedelta(seconds=10)
"""A row can become visible this long after the time it carries (in a slow transaction), so it is read once more."""


class TaskReadingCalls(TaskPageCalls):
    """Tasks with their annotations.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    settling_time: timedelta = SETTLING_TIME

    def task_ids(self, project_id: int) -> set[int]:
        """Ids of all tasks that exist now."""
        return {row["id"] for page in self._by_id(project_id, "id", "task_only") for row in page}

    def task_outlines(self, project_id: int) -> Iterator[list[Task]]:
        """All tasks without their annotations, in pages, by ascending id; twice as fast as ``all_tasks``."""
        for page in self._by_id(project_id, "id,data,is_labeled", "task_only"):
            yield [Task(row["id"], row["data"], bool(row["is_labeled"])) for row in page]

    def tasks_of(self, project_id: int, task_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Raw rows of those of these tasks that still exist, with the times at which their annotations were written."""
        for start in range(0, len(task_ids), PART):
            part = task_ids[start : start + PART]
            equal = tuple(condition("id", "equal", "Number", task_id) for task_id in part)
            wanted = Wanted(project_id, "tasks:id", f"{ROW_FIELDS},created_at", "all", equal, "or")
            rows, _ = self.page(wanted, page_size=len(part))
            yield from rows

    def all_tasks(self, project_id: int, left_out: LeftOut = log_left_out) -> Iterator[list[dict[str, Any]]]:
        """All readable tasks with their annotations, in pages of raw rows, by ascending id."""
        return self._by_id(project_id, ROW_FIELDS, "all", left_out)

    def task_predictions(self, project_id: int, left_out: LeftOut = log_left_out) -> Iterator[list[dict[str, Any]]]:
        """All readable tasks with their predictions, in pages of raw rows, by ascending id."""
        return self._by_id(project_id, PREDICTION_FIELDS, "all", left_out)

    def _by_id(
        self, project_id: int, include: str, fields: str, left_out: LeftOut = log_left_out
    ) -> Iterator[list[dict[str, Any]]]:
        last = 0
        while True:
            after = condition("id", "greater", "Number", last)
            outlines, parts = self.parts(Wanted(project_id, "tasks:id", include, fields, (after,)), 1, left_out)
            yield from parts
            if len(outlines) < self.page_size:
                return
            last = outlines[-1]["id"]

    def newest_change(self, project_id: int) -> str:
        """A time from which ``changed_tasks`` misses nothing that happens after this call."""
        return self.newest(project_id)[1]

    def newest_update(self, project_id: int) -> str:
        """When any task was last changed, empty if there is no task. Stays the same until something changes."""
        return self.newest(project_id)[0]

    def newest(self, project_id: int) -> tuple[str, str]:
        """``newest_update`` and ``newest_change`` in one read."""
        rows, now = self.page(Wanted(project_id, "-tasks:updated_at", "id,updated_at"), page_size=1)
        newest = parse_time(rows[0]["updated_at"]) if rows else None
        since = min(newest or datetime.fromtimestamp(0, UTC), now - self.settling_time)
        return newest.strftime(TIME_FORMAT) if newest else "", since.strftime(TIME_FORMAT)

    def changed_tasks(
        self, project_id: int, since: str, left_out: LeftOut = log_left_out
    ) -> Iterator[list[dict[str, Any]]]:
        """Tasks created, edited or (un)annotated after ``since``, in pages of raw rows, by ascending time of change.

        Label Studio updates a task's ``updated_at`` when the task or one of its annotations is written, but not when
        predictions are: publishing a queue is not a change.
        """
        page, seen, told = 1, set[tuple[int, str]](), set[int]()

        def tell_once(task_id: int) -> None:
            if task_id not in told:
                told.add(task_id)
                left_out(task_id)

        while True:
            operator = "greater" if not seen else "greater_or_equal"  # later pages may start within a single instant
            changed = condition("updated_at", operator, "Datetime", since)
            wanted = Wanted(project_id, "tasks:updated_at", ROW_FIELDS, conditions=(changed,))
            outlines, parts = self.parts(wanted, page, tell_once)
            for rows in parts:
                if fresh := [row for row in rows if (row["id"], row["updated_at"]) not in seen]:
                    yield fresh
            if len(outlines) < self.page_size:
                return
            seen.update((row["id"], row["updated_at"]) for row in outlines)
            newest = parse_time(outlines[-1]["updated_at"]).strftime(TIME_FORMAT)
            since, page = (newest, 1) if newest > since else (since, page + 1)
