"""Reads pages of tasks, even if Label Studio fails on one of the tasks or a page is too large.

A task whose text contains half a character (a lone surrogate) breaks every answer that includes it, and tasks that
embed large pictures add up. Such a page is read in parts: first the ids, then the tasks in ever smaller halves. A task
that cannot be read even alone is left out and reported.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ml_backend.errors import LabelStudioNotFound, LabelStudioUnanswerable
from ml_backend.label_studio.http import LabelStudioHttp

log = logging.getLogger(__name__)
Row = dict[str, Any]
LeftOut = Callable[[int], None]
"""Called with the id of a task that cannot be read."""
PAGE_SIZE: Final = 1000
PART: Final = 50
"""Tasks that are requested by id at once; with more conditions Label Studio becomes slow."""
MOST_LEFT_OUT: Final = 100
"""Tasks of one page that may be left out; if more fail, the tasks are not the cause."""
OUTLINE: Final = "id,updated_at"


def log_left_out(task_id: int) -> None:
    """Write it to the log."""
    log.warning("task %d is left out: Label Studio fails on it, or it is too large", task_id)


@dataclass(frozen=True)
class Wanted:
    """Which tasks of a project to read, which of their fields, and in which order."""

    project_id: int
    ordering: str
    include: str
    fields: str = "all"
    conditions: Sequence[Mapping[str, Any]] = ()
    join: str = "and"
    """How the conditions are joined: ``and`` or ``or``."""


def condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    """A filter in the Data Manager's form."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


class TaskPageCalls(LabelStudioHttp):
    """Tasks by pages.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    page_size: int = PAGE_SIZE

    def page(self, wanted: Wanted, page: int = 1, page_size: int | None = None) -> tuple[list[Row], datetime]:
        """One page of tasks, and Label Studio's clock.

        Raises:
            LabelStudioUnanswerable: Label Studio fails on one of its tasks, or it is too large.
        """
        query: dict[str, Any] = {"ordering": [wanted.ordering]}
        if wanted.conditions:
            query["filters"] = {"conjunction": wanted.join, "items": list(wanted.conditions)}
        try:
            response = self.request(
                "GET",
                "api/tasks",
                params={
                    "project": wanted.project_id,
                    "page": page,
                    "page_size": page_size or self.page_size,
                    "fields": wanted.fields,
                    "include": wanted.include,
                    "resolve_uri": "false",
                    "query": json.dumps(query),
                },
                what=f"Project {wanted.project_id}",
            )
        except LabelStudioNotFound:
            if page > 1:  # Label Studio answers 404 to a page beyond the last
                return [], datetime.now(UTC)
            raise
        return self._content(response)["tasks"], self.server_time(response)

    def parts(self, wanted: Wanted, page: int, left_out: LeftOut) -> tuple[list[Row], Iterator[list[Row]]]:
        """One page: the outlines of its tasks (`OUTLINE`), and its readable tasks in one or more parts."""
        try:
            rows, _ = self.page(wanted, page)
        except LabelStudioUnanswerable as exc:
            outlines, _ = self.page(
                Wanted(wanted.project_id, wanted.ordering, OUTLINE, "all", wanted.conditions, wanted.join), page
            )
            return outlines, self._in_halves(wanted, [row["id"] for row in outlines], left_out, exc)
        return rows, iter([rows] if rows else [])

    def _in_halves(
        self, wanted: Wanted, ids: Sequence[int], left_out: LeftOut, problem: LabelStudioUnanswerable
    ) -> Iterator[list[Row]]:
        """The tasks of these ids in parts; a part that fails is halved."""
        waiting = [ids[start : start + PART] for start in range(0, len(ids), PART)]
        failed = 0
        while waiting:
            part = waiting.pop(0)
            equal = tuple(condition("id", "equal", "Number", task_id) for task_id in part)
            asked = Wanted(wanted.project_id, wanted.ordering, wanted.include, wanted.fields, equal, "or")
            try:
                rows, _ = self.page(asked, page_size=len(part))
            except LabelStudioUnanswerable:
                if len(part) > 1:
                    waiting[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]
                    continue
                failed += 1
                if failed > MOST_LEFT_OUT:
                    raise problem from None
                left_out(part[0])
                continue
            if rows:
                yield rows
