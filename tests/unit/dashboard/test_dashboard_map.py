"""The map's and the queue's pages and data, on a store as rounds leave it: JSON, empty states, wishes, bad input."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.dashboard_store import HOSTILE, make_store, some_map
from flask.testing import FlaskClient
from pydantic import SecretStr
from safetensors.numpy import save_file

from ml_backend.config import Settings
from ml_backend.dashboard.pages import map as map_page
from ml_backend.dashboard.pages import queue as queue_page
from ml_backend.dashboard.reading import queues
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.records import CONTROL, FIRST_ROW, PINNED, Prediction, Queue
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store.pool_map import ARRAYS, MAP_FILE, OF_ROWS, read_map
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides, change, read

API = "/dashboard/api/projects/1"


def backend(folder: Path, asked: list[Any]) -> FlaskClient:
    """A client of a backend over the stores in a folder, which notes the rounds that it is asked for."""

    class Noted(LocalRoundQueue):
        def request(self, request: RoundRequest) -> Any:
            asked.append(request)

    settings = Settings(model_dir=folder, label_studio_api_key=SecretStr("key"))
    return create_app(settings, rounds=Noted(lambda *_: {})).test_client()


@pytest.fixture
def asked() -> list[Any]:
    """The rounds that were asked for."""
    return []


@pytest.fixture
def serve(tmp_path: Path, asked: list[Any]) -> Any:
    """Start a backend over the stores in ``tmp_path``."""
    return lambda: backend(tmp_path, asked)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProjectStore, FlaskClient, list[Any]]:
    """One project that bad input leaves as it is, its backend, and the rounds that were asked for."""
    folder, asked = tmp_path_factory.mktemp("stores"), []
    return make_store(folder, versions=1), backend(folder, asked), asked


def queue_of(store: ProjectStore, tasks: range, *, control: int = 4) -> Queue:
    picks = tuple(
        Prediction(task, "related", 0.7, place / 1e5, CONTROL if place % 10 == control else "entropy")
        for place, task in enumerate(tasks)
    )
    version = store.current().version
    queue = Queue(f"{version}.entropy-0099", version, "entropy", 1, 0, picks)
    store.write_queue(queue)
    store.set_current(Current(version, queue.name))
    return queue


def test_a_map_survives_its_file(tmp_path: Path) -> None:
    store = make_store(tmp_path, versions=2)
    drawn = some_map(50, pool=250)
    older, newer = store.versions()
    store.write_map(newer, drawn)
    found = store.map(newer)
    assert found is not None
    for name in ("task_ids", "places", "states", "labels", "guesses", "confidences", "uncertainties"):
        np.testing.assert_array_equal(getattr(found, name), getattr(drawn, name))
    assert found.pool == 250
    assert (store.map(older), store.mapped_versions()) == (None, [newer])
    store.set_current(Current())
    store.delete_version(newer)
    assert store.mapped_versions() == [], "it goes with its version"


def test_rows_of_a_pool_are_places_and_nothing_else(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1)
    (version,) = store.versions()
    rows = np.array([FIRST_ROW + 7, FIRST_ROW + 3], dtype=np.int64)
    drawn = replace(some_map(30), rows=rows, row_places=np.array([[1, 2], [3, 4.5]], np.float32))
    store.write_map(version, drawn)
    found = store.map(version)
    assert found is not None
    assert found.layout.task_ids.tolist() == [*drawn.task_ids.tolist(), *rows.tolist()]
    data = serve().get(f"{API}/map/{version}").json
    assert data["rows"] == {"x": [1, 3], "y": [2, 4.5]}
    assert len(data["x"]) == len(data["task_ids"]) == 30
    assert str(FIRST_ROW + 7) not in json.dumps(data), "a browser cannot hold such a number"


def test_a_map_from_before_there_were_rows_is_read(tmp_path: Path) -> None:
    drawn = some_map(20)
    arrays = {name: getattr(drawn, name) for name in ARRAYS if name not in OF_ROWS}
    save_file(arrays, tmp_path / MAP_FILE, metadata={"pool": "20"})
    found = read_map(tmp_path)
    assert found is not None
    assert (len(found.rows), found.row_places.shape) == (0, (0, 2))


def test_a_damaged_map_says_what_to_do(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1)
    (version,) = store.versions()
    (store.version_folder(version) / "map.safetensors").write_bytes(b"nonsense")
    with pytest.raises(Exception, match=r"map\.safetensors is damaged .*delete it"):
        read_map(store.version_folder(version))
    answer = serve().get(f"{API}/map/{version}")
    assert answer.status_code == 503
    assert "delete it" in answer.json["error"]


def test_the_points_of_a_version(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=2)
    version = store.versions()[-1]
    store.write_map(version, some_map(40, first=100, pool=200))
    client = serve()
    meta = client.get(f"{API}/map").json
    assert [row["name"] for row in meta["versions"]] == [version]
    assert meta["task_link"].endswith("/projects/1/data?task=")
    data = client.get(f"{API}/map/{version}").json
    columns = ("x", "y", "state", "label", "guess", "confidence", "uncertainty")
    assert {len(data[name]) for name in columns} == {40} == {len(data["task_ids"])}
    assert data["states"] == ["open", "queued", "labelled", "evaluation"]
    assert data["classes"] == ["related", "not related"]
    assert data["pool"] == 200


def test_control_tasks_tell_no_guess_on_the_map_nor_in_the_queue(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1)
    (version,) = store.versions()
    first = store.queue(str(store.current().queue)).predictions[0].task_id
    store.write_map(version, some_map(40, first=first))
    queue = queue_of(store, range(first, first + 20))
    control = {item.task_id for item in queue.predictions if item.picked_by == CONTROL}
    client = serve()
    data = client.get(f"{API}/map/{version}").json
    for position, task in enumerate(data["task_ids"]):
        hidden = task in control
        assert (data["guess"][position] == -1) is hidden
        assert (data["confidence"][position] is None) is (data["uncertainty"][position] is None) is hidden
    for row in client.get(f"{API}/queue").json["rows"]:
        told = (row["guess"], row["confidence"], row["score"])
        assert (told == (None, None, None)) is (row["task_id"] in control)
        assert (row["why"] == CONTROL) is (row["task_id"] in control)


def test_points_are_compressed_and_sent_once(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1)
    (version,) = store.versions()
    store.write_map(version, some_map(2000, pool=10_000))
    client = serve()
    plain = client.get(f"{API}/map/{version}")
    packed = client.get(f"{API}/map/{version}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 2
    assert json.loads(gzip.decompress(packed.data)) == plain.json
    again = client.get(f"{API}/map/{version}", headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_damaged_version_hides_no_other_map(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=2)
    first, second = store.versions()
    for version in (first, second):
        store.write_map(version, some_map(20))
    (store.version_folder(first) / "model.json").write_text("{")
    client = serve()
    assert [row["name"] for row in client.get(f"{API}/map").json["versions"]] == [second]
    assert "cannot be shown" not in page(client, "map")


@pytest.mark.parametrize("version", ["nothing", "..", "headlines-0001-00000001", "%00"])
def test_versions_that_are_not_there(plain: Any, version: str) -> None:
    assert plain[1].get(f"{API}/map/{version}").status_code == 404


def text_of(component: Any) -> str:
    return json.dumps(component.to_plotly_json(), default=lambda each: each.to_plotly_json(), ensure_ascii=False)


def page(client: FlaskClient, name: str, query: str = "") -> str:
    """The page's components, as the browser gets them."""
    body = {
        "output": "..masthead.children...main.children...shown.data..",
        "outputs": [
            {"id": "masthead", "property": "children"},
            {"id": "main", "property": "children"},
            {"id": "shown", "property": "data"},
        ],
        "inputs": [
            {"id": "url", "property": "pathname", "value": f"/dashboard/1/{name}"},
            {"id": "url", "property": "search", "value": query},
            {"id": "renew", "property": "n_clicks", "value": 0},
        ],
        "changedPropIds": ["url.pathname"],
    }
    answer = client.post("/dashboard/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.data[:500]
    return answer.get_data(as_text=True)


def test_empty_states_say_what_to_do_next(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=0)
    client = serve()
    assert "Label tasks of at least two classes" in page(client, "map")
    assert "No queue has been published yet." in page(client, "queue")
    assert "press Train now" in page(client, "queue")
    make_store(tmp_path, versions=1)
    assert "No map has been drawn yet." in page(client, "map")
    store.set_extra_params({"map": False})
    assert "Maps are switched off" in page(client, "map")


def test_headlines_and_labels_stay_text(tmp_path: Path, serve: Any) -> None:
    labels = ("<b>yes</b>", "no & never")
    store = make_store(tmp_path, versions=1, open_tasks=3, texts=(HOSTILE,) * 200, labels=labels)
    store.write_map(store.versions()[0], some_map(30))
    client = serve()
    shown = json.loads(page(client, "queue"))
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("type") == "Blockquote":
                found.append(part["props"]["children"])
            assert "dangerously_allow_html" not in part
            [walk(each) for each in part.values()]
        elif isinstance(part, list):
            [walk(each) for each in part]

    walk(shown)
    assert found == [HOSTILE] * 3, "children of an element, which a browser shows as text"
    assert client.get(f"{API}/items?ids=1").json == {"items": {"1": {"text": HOSTILE}}}
    assert "<b>yes</b>" in client.get(f"{API}/map").json["classes"]


def test_a_queue_of_20000_comes_in_parts(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1)
    queue_of(store, range(1000, 21_000))
    client = serve()
    first = client.get(f"{API}/queue").json
    assert (first["total"], len(first["rows"]), first["rows"][0]["place"]) == (20_000, queues.PAGE, 1)
    last = client.get(f"{API}/queue?start=99999999").json
    assert [last["rows"][0]["place"], last["rows"][-1]["place"]] == [20_001 - queues.PAGE, 20_000]
    assert {row["state"] for row in last["rows"]} == {"gone"}, "these tasks are not in the project"
    shown = page(client, "queue", "?start=10000")
    assert "Places 10,001 to 10,025" in shown
    assert len(shown) < 200_000


@pytest.mark.parametrize("query", ["?start=x", "?start=-5", "?start=1e3", "?count=<b>", "?start=99999999999999"])
def test_malformed_places(plain: Any, query: str) -> None:
    client = plain[1]
    assert "must be a number" in page(client, "queue", query)
    assert client.get(f"{API}/queue{query}").status_code == 400


# --- wishes ---------------------------------------------------------------------------------------------------------


def test_a_wish_is_kept_and_asks_for_an_order_without_training(tmp_path: Path, serve: Any, asked: list[Any]) -> None:
    store = make_store(tmp_path, versions=1)
    waiting = [item.task_id for item in store.queue(str(store.current().queue)).predictions]
    client = serve()
    answer = client.post(f"{API}/wishes", json={"action": "boost", "task_ids": waiting[3:5]})
    assert answer.json["message"] == "2 tasks will be asked next. The new order is on its way."
    assert asked == [RoundRequest(1, train=False)]
    client.post(f"{API}/wishes", json={"action": "drop", "task_ids": [waiting[0]]})
    assert read(store) == QueueOverrides(tuple(waiting[3:5]), (waiting[0],))
    assert client.get(f"{API}/wishes").json == {"front": waiting[3:5], "dropped": [waiting[0]]}
    rows = {row["task_id"]: row for row in client.get(f"{API}/queue").json["rows"]}
    assert [rows[task]["wish"] for task in waiting[:5]] == ["dropped", None, None, "first", "first"]
    shown = page(client, "queue")
    assert "Take back" in shown
    assert "Unpin" in shown
    client.post(f"{API}/wishes", json={"action": "undo", "task_ids": waiting})
    assert read(store) == QueueOverrides()


def test_tasks_that_cannot_be_asked_are_left_out(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1, evaluated=60)
    waiting = store.queue(str(store.current().queue)).predictions[0].task_id
    held_out, labelled, unknown = 3, 61, 99_999
    client = serve()
    answer = client.post(f"{API}/wishes", json={"action": "pin", "task_ids": [held_out, waiting, labelled, unknown]})
    assert answer.json["taken"] == [waiting]
    assert "3 tasks left out" in answer.json["message"]
    refused = client.post(f"{API}/wishes", json={"action": "pin", "task_ids": [held_out, unknown]})
    assert (refused.status_code, "None of these tasks is open" in refused.json["error"]) == (400, True)
    assert read(store) == QueueOverrides((waiting,))


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"action": "pin"},
        {"action": 3, "task_ids": [1]},
        {"action": "pin", "task_ids": []},
        {"action": "pin", "task_ids": "100"},
        {"action": "pin", "task_ids": ["100"]},
        {"action": "pin", "task_ids": [True]},
        {"action": "pin", "task_ids": [-1]},
        {"action": "pin", "task_ids": [1e30]},
        {"action": "pin", "task_ids": [2**80]},
        {"action": "explode", "task_ids": [110]},
        {"action": "pin", "task_ids": list(range(1, 6000))},
    ],
)
def test_malformed_wishes_change_nothing(plain: Any, body: Any) -> None:
    store, client, asked = plain
    answer = client.post(f"{API}/wishes", json=body)
    assert answer.status_code == 400
    assert answer.json["error"]
    assert read(store) == QueueOverrides()
    assert asked == []


def test_a_foreign_page_cannot_wish(plain: Any) -> None:
    store, client, asked = plain
    body = {"action": "pin", "task_ids": [110]}
    assert client.post(f"{API}/wishes", json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post(f"{API}/wishes", data=json.dumps(body)).status_code == 415
    assert (read(store), asked) == (QueueOverrides(), [])


@pytest.mark.parametrize("ids", ["x", "1;2", "-1", "1.5", "٣", ",".join(["7"] * 201), "9" * 20])
def test_malformed_ids_of_items(plain: Any, ids: str) -> None:
    assert plain[1].get(f"{API}/items", query_string={"ids": ids}).status_code == 400


def test_an_unknown_project(plain: Any) -> None:
    client = plain[1]
    for path in ("map", "map/x", "items", "wishes", "queue"):
        assert client.get(f"/dashboard/api/projects/77/{path}").status_code == 404
    answer = client.post("/dashboard/api/projects/77/wishes", json={"action": "pin", "task_ids": [1]})
    assert answer.status_code == 404


def test_pinned_tasks_that_no_queue_has_yet_are_listed(tmp_path: Path, serve: Any) -> None:
    store = make_store(tmp_path, versions=1, open_tasks=40)
    queued = {item.task_id for item in store.queue(str(store.current().queue)).predictions}
    other = max(queued) + 1
    change(store, "pin", [other])
    data = serve().get(f"{API}/queue").json
    assert [row["task_id"] for row in data["ahead"]] == [other]
    assert "Pinned for the next order" in text_of(queue_page.view({**data, "project": 1}))


def test_every_reason_has_words(tmp_path: Path) -> None:
    assert {CONTROL, PINNED} <= set(queue_page.WHY)
    assert [value for value, _ in map_page.COLOURS] == ["state", "label", "guess", "uncertainty"]
