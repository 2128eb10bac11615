"""Pages of a project that another model's predictions order."""

from pathlib import Path

from support.dashboards import words
from support.detections import box
from support.predicted import annotated, predicted_project, queue_of

from ml_backend.cli.measures import lines
from ml_backend.config import Settings
from ml_backend.dashboard.routing import render
from ml_backend.dashboard.services import Services
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.records import Task
from ml_backend.rounds.measures import present
from ml_backend.rounds.predicted.measures import measure
from ml_backend.rounds.report import Recorder, Report
from ml_backend.store.project_store import Current


def test_what_is_shown_of_queued_tasks_and_what_people_corrected(tmp_path: Path) -> None:
    predicted = [[box("a", (10, 10, 20, 20), score=0.5), box("b", (50, 50, 9, 9), score=0.9)]] * 4
    tasks = [annotated(1, predicted[0][:1]), annotated(2, predicted[0]), Task(3, {}), Task(4, {})]
    project = predicted_project(tmp_path, predicted, tasks=tasks)
    queue = queue_of(predicted_project(tmp_path, predicted, control_share=0))
    project.store.write_queue(queue)
    project.store.set_current(Current(None, queue.name))
    project.store.note_shown("Image", "image", "Boxes")
    assert measure(project, Recorder(Report(7))) is not None
    services = Services(Settings(model_dir=tmp_path, label_studio_api_key="k" * 40), LocalRoundQueue(lambda *_: {}))
    overview = " ".join(words(render(services, "/dashboard/7/overview", "")[1]).split())
    assert "Ordered by another model's predictions" in overview
    assert "picked, regions shown 2 50% (9% to 91%) 4 3 0 0 1 0 1.00" in overview
    assert "no model yet" not in overview
    shown = words(render(services, "/dashboard/7/queue", "")[1])
    assert "2 regions shown" in shown
    assert "2 regions by yolo-1, sure to between 50% and 90%." in shown
    told = " ".join(lines(present(project.store)))
    assert "Of 2 tasks picked, 1 were corrected" in told
    assert "Of 4 regions: 3 kept, 0 moved, 0 relabelled, 1 removed; 0 added; overlap 1.00." in told
