"""Converts Label Studio's rows into records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ml_backend.records import Annotation, Task

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def task_from_row(row: Mapping[str, Any]) -> Task:
    """A task from one raw row of ``all_tasks`` or ``changed_tasks``."""
    annotations = tuple(
        Annotation(
            id=item["id"],
            annotator=item.get("completed_by"),
            updated_at=parse_time(item["updated_at"]),
            result=item.get("result"),
            cancelled=bool(item.get("was_cancelled")),
        )
        for item in row.get("annotations") or ()
    )
    return Task(id=row["id"], data=row["data"], is_labeled=bool(row["is_labeled"]), annotations=annotations)


def parse_time(text: str) -> datetime:
    """Parse a time in Label Studio's format."""
    return datetime.fromisoformat(text).astimezone(UTC)
