"""Pages of a project that another model's predictions order."""

import io
import json
from pathlib import Path

from PIL import Image
from support.dashboards import words
from support.detections import box
from support.local_server import LocalServerFactory
from support.predicted import annotated, predicted_project, queue_of, run_of

from ml_backend.cli.measures import lines
from ml_backend.config import Settings
from ml_backend.dashboard.routing import render
from ml_backend.dashboard.services import Services
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.label_studio.task_cache import UPSERT, TaskCache
from ml_backend.records import Task
from ml_backend.rounds.measures import present
from ml_backend.rounds.predicted.measures import measure
from ml_backend.rounds.predicted.pictures import keep_pictures
from ml_backend.rounds.report import Recorder, Report
from ml_backend.server import create_app
from ml_backend.store.project_store import Current


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(stream, "PNG")
    return stream.getvalue()


def test_the_pictures_of_the_first_tasks_are_fetched_once_and_shown(
    tmp_path: Path, local_server: LocalServerFactory
) -> None:
    server = local_server(lambda call: (404 if "gone" in call.path else 200, "image/png", picture()))
    project = predicted_project(tmp_path, [[box("a", (10, 10, 20, 20), score=0.5)]] * 3, control_share=0)
    queue, cache = queue_of(project), TaskCache(project.store.task_cache_path)
    project.store.note_shown("Image", "image", "Boxes")
    for task, name in ((1, "1.png"), (2, "gone.png"), (3, "3.png")):
        row = {"id": task, "data": {"image": f"{server.url}/{name}"}, "is_labeled": False, "annotations": []}
        with cache._open() as db:
            db.execute(UPSERT, (task, 0, json.dumps(row)))
    fetcher = Fetcher(AddressRules(local=True), sleep=lambda seconds: None)
    run = run_of(fetcher=fetcher)
    keep_pictures(project, queue, run)
    assert run.report.steps[-1].detail == "2 read for the dashboard; 1 cannot be had"
    calls = len(server.calls)
    keep_pictures(project, queue, run)
    assert not [call for call in server.calls[calls:] if "gone" not in call.path], "they are kept"
    web = create_app(Settings(model_dir=tmp_path)).test_client()
    kinds = [web.get(f"/dashboard/7/media/{task}").content_type for task in (1, 2, 3)]
    assert kinds == ["image/png", "image/svg+xml; charset=utf-8", "image/png"]


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
    assert "Order anew" in overview
    assert "Train now" not in overview
    shown = words(render(services, "/dashboard/7/queue", "")[1])
    assert "2 regions shown" in shown
    assert "2 regions by yolo-1, sure to between 50% and 90%." in shown
    told = " ".join(lines(present(project.store)))
    assert "Of 2 tasks picked, 1 were corrected" in told
    assert "Of 4 regions: 3 kept, 0 moved, 0 relabelled, 1 removed; 0 added; overlap 1.00." in told
