"""Calls about single tasks and annotations, and about many at once: import and export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.errors import LabelStudioNotFound
from ml_backend.label_studio.projects import ProjectCalls

EXPORT_BYTES: Final = 2 * 1024**3
"""Limit for an export, which comes in one piece; embedded pictures make it large."""


class TaskCalls(ProjectCalls):
    """Tasks and annotations.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def import_tasks(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create tasks (``{"data": ..., "annotations": [...]}``). Returns their ids in the same order."""
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
        """The task that "Label All Tasks" shows next (and locks for this account); None if none is left."""
        try:
            row: dict[str, Any] = self._json(
                "POST", "api/dm/actions", params={"id": "next_task", "project": project_id}, body={}
            )
        except LabelStudioNotFound:
            self.project(project_id)  # tells a missing project from an empty label stream
            return None
        return row

    def delete_unanswered(self, project_id: int, task_ids: Sequence[int]) -> None:
        """Delete those of these tasks that, according to Label Studio at that moment, nobody has answered or skipped.

        The check is Label Studio's, because what the caller read may be minutes old, and deleting a task deletes its
        answers. Tasks that no longer exist are ignored.
        """
        self.request(
            "POST",
            "api/dm/actions",
            params={"id": "delete_tasks", "project": project_id},
            body={
                "selectedItems": {"all": False, "included": list(task_ids)},
                "filters": {
                    "conjunction": "and",
                    "items": [
                        {"filter": f"filter:tasks:{name}", "operator": "equal", "type": "Number", "value": 0}
                        for name in ("total_annotations", "cancelled_annotations")
                    ],
                },
            },
            what=f"Deleting {len(task_ids)} tasks of project {project_id}",
        )

    def annotate(
        self, task_id: int, result: Sequence[Mapping[str, Any]], *, cancelled: bool = False, unique_id: str = ""
    ) -> int:
        """Submit an annotation as the token's account. Returns its id.

        Args:
            task_id: the task.
            result: in the form that Label Studio stores.
            cancelled: whether it is a skip.
            unique_id: a UUID; Label Studio accepts each only once among all annotations.

        Raises:
            LabelStudioConflict: there already is an annotation with this ``unique_id``.
        """
        body = {"result": list(result), "was_cancelled": cancelled} | ({"unique_id": unique_id} if unique_id else {})
        row = self._json(
            "POST",
            f"api/tasks/{task_id}/annotations/",
            body=body,
            once=True,
            what=f"Annotating task {task_id}",
        )
        return int(row["id"])

    def delete_annotation(self, annotation_id: int) -> None:
        """Delete one annotation."""
        self.request("DELETE", f"api/annotations/{annotation_id}/", what=f"Annotation {annotation_id}")

    def export(self, project_id: int, *, everything: bool = False) -> list[dict[str, Any]]:
        """Annotated tasks, or all of them, in Label Studio's own JSON export format."""
        rows: list[dict[str, Any]] = self._json(
            "GET",
            f"api/projects/{project_id}/export",
            params={"exportType": "JSON", "download_all_tasks": str(everything).lower()},
            what=f"Project {project_id}",
            most_bytes=EXPORT_BYTES,
        )
        return rows
