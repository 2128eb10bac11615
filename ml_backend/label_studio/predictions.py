"""Calls about predictions, and about which of them Label Studio serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_backend.errors import LabelStudioNotFound, LabelStudioRejected
from ml_backend.label_studio.bounded_answers import MOST_BYTES
from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.label_studio.projects import UNCERTAINTY_SAMPLING
from ml_backend.label_studio.task_rows import parse_time


class PredictionCalls(LabelStudioHttp):
    """Predictions and the order they make.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def import_predictions(self, project_id: int, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions in one call.

        Raises:
            LabelStudioRejected: it accepted fewer than it was sent. Label Studio silently drops a prediction with a
                score outside [0, 1] or an unknown ``from_name``.
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
                "its labeling config differs from the model's, or tasks have been deleted. Run the sync again."
            )

    def create_prediction(self, prediction: Mapping[str, Any]) -> None:
        """Write one prediction. Unlike the import, this call does not check it against the labeling config."""
        self._json(
            "POST",
            "api/predictions/",
            body=dict(prediction),
            once=True,
            what=f"Prediction of task {prediction['task']}",
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
        """Model versions that have predictions, with the age of the newest one.

        Ages are by Label Studio's clock, which it reports in whole seconds: an age may be up to a second too small.
        """
        response = self.request(
            "GET",
            f"api/projects/{project_id}/model-versions",
            params={"extended": "true"},
            what=f"Project {project_id}",
        )
        now = self.server_time(response)
        return {row["model_version"]: now - parse_time(row["latest"]) for row in self._content(response)["static"]}

    def version_rows(self, project_id: int) -> list[dict[str, Any]]:
        """Model versions that have predictions: ``model_version``, ``count`` and ``latest`` (time of the newest)."""
        answer = self._json(
            "GET",
            f"api/projects/{project_id}/model-versions",
            params={"extended": "true"},
            what=f"Project {project_id}",
        )
        rows: list[dict[str, Any]] = answer["static"]
        return rows

    def prediction_versions(self, project_id: int) -> dict[str, int]:
        """Model versions that have predictions, with their number."""
        return {row["model_version"]: row["count"] for row in self.version_rows(project_id)}

    def predictions(self, project_id: int, *, most_bytes: int = MOST_BYTES) -> list[dict[str, Any]]:
        """All predictions of a project, as raw rows.

        Raises:
            LabelStudioUnanswerable: they exceed ``most_bytes``, or Label Studio fails on one of them.
        """
        rows: list[dict[str, Any]] = self._json(
            "GET",
            "api/predictions",
            params={"project": project_id},
            what=f"Project {project_id}",
            most_bytes=most_bytes,
        )
        return rows

    def prediction_id(self, task_id: int, version: str) -> int:
        """The id of one task's prediction under one model version.

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
        """Change the score of one prediction. Like an answer, this updates the task's time of change."""
        self.request(
            "PATCH", f"api/predictions/{prediction_id}/", body={"score": score}, what=f"Prediction {prediction_id}"
        )

    def delete_version(self, project_id: int, version: str) -> None:
        """Delete all predictions of one model version. Slow, because Label Studio deletes them one by one."""
        self.request(
            "DELETE",
            f"api/projects/{project_id}/model-versions",
            body={"model_version": version},
            what=f"Version {version} of project {project_id}",
        )
