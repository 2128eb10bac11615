"""The search page's data and routes over a store on disk: what is found, and what a request for many tasks may be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bench.dashboard_store import HOSTILE, fill_cache, make_store, some_map
from support.dashboards import words

from ml_backend.config import ProjectSettings, Settings
from ml_backend.dashboard.pages import queue as queue_page
from ml_backend.dashboard.pages import search as search_page
from ml_backend.dashboard.reading import queues
from ml_backend.dashboard.reading.likeness import NOT_YET, TEXTS_ONLY, PoolVectors, vectors_of
from ml_backend.dashboard.reading.pool import Filter, facts_of, filter_from
from ml_backend.dashboard.reading.search import find, read
from ml_backend.encoders import feature_store
from ml_backend.encoders.gradients import Gradients
from ml_backend.encoders.sentences import WordLlama
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.models.reading import reader_of
from ml_backend.models.registry import MODELS
from ml_backend.records import CONTROL, Prediction, Queue
from ml_backend.rounds.embedding import FILE
from ml_backend.rounds.item_reading import read_items
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding
from ml_backend.server import create_app
from ml_backend.store import bulk_actions
from ml_backend.store.bulk_actions import BulkAction
from ml_backend.store.project_store import Current
from ml_backend.store.queue_overrides import change

API = "/dashboard/api/projects/1"
TEXTS = ("Heavy rain over the river", "The river rises", "Rain heavy as never", "A team wins the cup", HOSTILE)
SETTINGS = ProjectSettings(embedding="wordllama")


@pytest.fixture
def store(tmp_path):
    """Held-out tasks 1 and 2, labelled 3 to 22, open 23 to 42, of which the queue asks 23 to 30, 25 as control."""
    store = make_store(tmp_path, versions=1, evaluated=2, open_tasks=20)
    data = {task: {"text": TEXTS[task % 5], "file": f"news-{task}.txt"} for task in range(1, 43)}
    data[1]["split"] = data[2]["split"] = "evaluation"
    fill_cache(store, data, {task: "related" if task % 2 else "not related" for task in range(1, 23)})
    version = store.current().version
    store.write_map(version, some_map(42))
    picks = tuple(
        Prediction(task, "related", 0.51 + task / 100, task / 100, CONTROL if task == 25 else "entropy")
        for task in range(23, 31)
    )
    store.write_queue(Queue(f"{version}.entropy-0002", version, "entropy", 1, 0, picks))
    store.set_current(Current(version, f"{version}.entropy-0002"))
    change(store, "drop", [40])
    return store


@pytest.fixture
def client(store):
    return create_app(Settings(model_dir=store.folder.parent, label_studio_api_key="k" * 40)).test_client()


def found(store, **asked):
    return [each.id for each in find(store, SETTINGS, {name: str(value) for name, value in asked.items()}).tasks]


def test_words_are_found_in_any_order_and_phrases_as_they_are(store):
    both = [task for task in range(1, 43) if task % 5 in (0, 2)]
    assert found(store, words="RAIN heavy") == both
    assert found(store, words='"heavy rain"') == [task for task in both if task % 5 == 0]
    assert found(store, words="news-17.txt") == [17]
    assert found(store, words="evaluation") == [], "what marks a held-out task is no word of the user's"


def test_each_state_label_guess_and_probability_is_told_apart(store):
    by_state = {state: found(store, state=state) for state in ("evaluation", "answered", "queued", "open", "dropped")}
    assert by_state == {
        "evaluation": [1, 2],
        "answered": list(range(3, 23)),
        "queued": list(range(23, 31)),
        "open": [*range(31, 40), 41, 42],
        "dropped": [40],
    }
    assert found(store, state="answered", label="related") == list(range(3, 23, 2))
    assert found(store, state="queued", guess="related") == [23, 24, *range(26, 31)], "a control task tells no guess"
    assert found(store, state="queued", least=75, most=79) == [24, 26, 27, 28]
    row = read(store, SETTINGS, {"state": "queued"})["rows"][2]
    assert (row["task_id"], row["guess"], row["probability"], row["is_control"]) == (25, None, None, True)


def test_a_change_of_the_store_is_seen_at_once(store):
    assert 41 in found(store, state="open")
    change(store, "drop", [41])
    assert 41 in found(store, state="dropped")


def test_likeness_goes_by_the_vectors_on_disk_and_a_typed_text_by_their_encoder(store):
    items = [TEXTS[place] for place in range(4)]
    PoolEmbedding.learn(WordLlama, items, seed=0).save(store.folder / FILE)
    like = find(store, SETTINGS, {"like": "30", "nearest": "7"})
    assert [each.id % 5 for each in like.tasks] == [0] * 7, "copies of it, and not itself"
    assert 30 not in like.likeness
    assert like.likeness[5] == pytest.approx(1, abs=1e-3)
    typed = find(store, SETTINGS, {"text": "who won the cup", "state": "open", "nearest": "3"})
    assert [TEXTS[each.id % 5] for each in typed.tasks][:2] == [TEXTS[3]] * 2
    everything = find(store, SETTINGS, {"like": "30", "nearest": "999"})
    assert everything.without_vector == 2 + sum(task % 5 == 4 for task in range(3, 43)), "held-out and unknown ones"


def test_few_texts_without_stored_vectors_are_compared_all_the_same(store):
    assert TEXTS[find(store, SETTINGS, {"text": "river"}).tasks[0].id % 5] in TEXTS[:2]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"like": "1"}, "has no vector"),
        ({"like": "7", "text": "x"}, "not both"),
        ({"like": "x"}, '"like" must be a number'),
        ({"least": "101"}, "percent"),
        ({"most": "nan"}, "percent"),
        ({"state": "unknown"}, "must be one of"),
        ({"start": "-1"}, '"start" must be'),
    ],
)
def test_what_cannot_be_looked_for_is_said_on_the_page(store, client, asked, said):
    answer = client.get(f"{API}/search", query_string=asked)
    assert answer.status_code == 200
    assert said in answer.json["problem"]
    assert answer.json["rows"] == []


def test_pictures_are_not_compared_with_texts_and_unknown_vectors_are_said(tmp_path):
    images = make_store(tmp_path, 2, versions=1, kind="Image")
    with pytest.raises(ConfigurationError) as raised:
        vectors_of(images, ProjectSettings())
    assert str(raised.value) == NOT_YET
    with pytest.raises(ConfigurationError) as raised:
        PoolVectors({}, np.zeros((0, 3), np.float32), None).like_text("rain")
    assert str(raised.value) == TEXTS_ONLY


def test_pictures_are_compared_by_what_rounds_have_read_of_them(tmp_path):
    images = make_store(tmp_path, 2, kind="Image", versions=0, evaluated=0, open_tasks=30)
    settings = ProjectSettings(embedding="gradients", image_model="mnist_cnn")
    question = images.noted_question()
    reader = reader_of(MODELS["mnist_cnn"], {})
    feature_store.use(tmp_path)
    try:
        tasks = list(TaskCache(images.task_cache_path).tasks())
        items = read_items(tasks, question, reader, MediaReader()).items  # as a round: from then on they are on disk
        PoolEmbedding.learn(Gradients, items, seed=0).save(images.folder / FILE)
        alike = find(images, settings, {"like": "13", "nearest": "2"})
    finally:
        feature_store.use(None)
    assert [each.id for each in alike.tasks] == [1, 25], "copies of the same picture"
    assert alike.likeness[25] == pytest.approx(1, abs=1e-4)


def test_the_page_shows_what_is_asked_and_offers_what_can_be_done(store, client):
    data = client.get(f"{API}/search?words=rain&state=open").json
    assert data["asked"] == {"words": "rain", "state": "open"}
    assert data["ids"] == [row["task_id"] for row in data["rows"]]
    data |= {"project": 1, "api": API, "task_link": "", "account": ""}
    shown = words(search_page.view(data))
    assert f"{data['total']} tasks" in shown
    assert f"Choose all {data['total']} found" in shown


def test_the_queue_shows_only_what_is_asked_for_with_its_places(store, client):
    answer = client.get(f"{API}/queue?guess=related&least=78").json
    assert [(row["place"], row["task_id"]) for row in answer["rows"]] == [(5, 27), (6, 28), (7, 29), (8, 30)]
    assert (answer["found"], answer["total"]) == (4, 8)
    assert client.get(f"{API}/queue?guess=related&least=78&start=99&count=3").json["rows"][0]["place"] == 8
    shown = words(queue_page.view(answer | {"project": 1, "task_link": ""}))
    assert "4 of 8 queued tasks" in shown
    assert "Show all" in shown
    assert client.get(f"{API}/queue?state=held").status_code == 400
    assert queues.read(store)["found"] == 8


def test_what_one_label_would_do_is_shown_before(store, client):
    answer = client.post(f"{API}/bulk/preview", json={"task_ids": [1, 3, 4, 5, 25, 31, 32, 99]}).json
    assert answer["ready"] == [31, 32]
    assert {left["count"]: left["why"] for left in answer["left"]}[3] == "somebody answered before"
    assert {left["why"]: left["count"] for left in answer["left"]}["control tasks, which measure the model"] == 1
    assert answer["answers"] == {"related": 2, "not related": 1}
    assert [shown["task_id"] for shown in answer["sample"]] == [31, 32]
    many = client.post(f"{API}/bulk/preview", json={"task_ids": list(range(26, 43))}).json
    assert [shown["task_id"] for shown in many["sample"]][:: len(many["sample"]) - 1] == [26, 42]


GOOD = {"action": "0" * 32, "label": "related", "task_ids": [31], "token": "x"}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("bulk", [], "JSON object"),
        ("bulk", GOOD | {"action": 7}, "32 hexadecimal"),
        ("bulk", GOOD | {"token": ""}, "your own"),
        ("bulk", GOOD | {"token": "x" * 5000}, "your own"),
        ("bulk", GOOD | {"token": None}, "your own"),
        ("bulk", GOOD | {"task_ids": ["31"]}, "list of task numbers"),
        ("bulk", GOOD | {"task_ids": list(range(1, 2002))}, "At most 2,000"),
        ("bulk", GOOD | {"label": 1}, '"label"'),
        ("bulk", {"action": "0" * 32, "token": "x"}, "Nothing is known about this action"),
        ("bulk/undo", {"token": "x"}, "32 hexadecimal"),
        ("bulk/undo", {"action": "0" * 32}, "your own"),
        ("bulk/undo", {"action": "0" * 32, "token": "x"}, "Nothing is known about this action"),
        ("bulk", GOOD | {"action": "x"}, "32 hexadecimal"),
        ("bulk", GOOD | {"task_ids": []}, "1 to 2,000 tasks"),
        ("bulk/preview", {"task_ids": 7}, "list of task numbers"),
    ],
)
def test_what_no_page_sends_is_refused_in_a_sentence(client, path, body, said):
    answer = client.post(f"{API}/{path}", json=body)
    assert answer.status_code == 400
    assert said in answer.json["error"]


@pytest.mark.parametrize("path", ["wishes", "bulk", "bulk/undo", "bulk/preview"])
def test_what_is_nested_too_deep_is_refused_where_there_is_a_project(client, path):
    body = '{"project":' * 2_000 + "1" + "}" * 2_000
    answer = client.post(f"{API}/{path}", data=body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert "nested" in answer.json["error"]


def test_a_token_that_no_header_can_carry_is_never_repeated(client, caplog):
    secret = "geheim\u2028geheim"
    answer = client.post(f"{API}/bulk", json=GOOD | {"token": secret})
    assert answer.status_code == 400
    assert "does not take this token" in answer.json["error"]
    assert "geheim" not in answer.text + caplog.text


@pytest.mark.parametrize("path", ["bulk", "bulk/undo", "bulk/preview"])
def test_a_foreign_page_labels_nothing(client, path):
    body = json.dumps(GOOD)
    assert client.post(f"{API}/{path}", data=body, content_type="text/plain").status_code == 415
    foreign = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    assert client.post(f"{API}/{path}", data=body, headers=foreign).status_code == 403


def test_actions_are_told_and_survive_their_file(store, client):
    action = BulkAction("a" * 32, "related", 3, "ann@example.org", "2026-03-01T09:00:00+00:00", (31, 32, 33))
    bulk_actions.begin(store, action)
    assert client.get(f"{API}/bulk").json["actions"][0]["state"] == "unfinished"
    done = bulk_actions.change(
        store,
        action.id,
        lambda known: BulkAction(**{**vars(known), "place": 3, "written": {31: 7}, "left": {32: "gone"}}),
    )
    assert bulk_actions.read(store) == {action.id: done}
    (told,) = client.get(f"{API}/bulk").json["actions"]
    assert (told["state"], told["written"], told["left"], told["email"]) == ("done", 1, {"gone": 1}, "ann@example.org")
    with pytest.raises(ConfigurationError, match="other tasks, label or account"):
        bulk_actions.begin(store, BulkAction(**{**vars(action), "account": 4}))


def test_a_filter_reads_percent_and_small_letters():
    wanted = filter_from({"words": 'A "B  c"', "least": "12.5", "most": "100"})
    assert (wanted.words, wanted.least, wanted.most) == (("a", "b  c"), 0.125, 1.0)
    assert Filter().asked == {}


def test_where_rounds_run_elsewhere_nothing_is_found(tmp_path):
    store = make_store(tmp_path, versions=1)
    store.task_cache_path.unlink()
    assert facts_of(store) == ()
