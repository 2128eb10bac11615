"""Every page over stores on disk: what it shows, what it says of nothing, and what it does with hostile input."""

import io
import json
import shutil
import threading
from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
from bench.dashboard_store import HOSTILE, fill_cache, make_store
from support.served import UID, publish

from ml_backend.config import Settings
from ml_backend.dashboard.charts import text
from ml_backend.dashboard.figures import confusion_figure, loss_figure
from ml_backend.dashboard.pages.learning import loss_part
from ml_backend.dashboard.pages.overview_rounds import round_section
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.pulse import read_pulse
from ml_backend.dashboard.reading.form import changes, read_form
from ml_backend.dashboard.reading.learning import read_learning
from ml_backend.dashboard.reading.mistakes import confusion_matrix, read_mistakes
from ml_backend.dashboard.reading.versions import read_comparison
from ml_backend.dashboard.routing import find_page, render
from ml_backend.dashboard.services import Services
from ml_backend.dashboard.shell import announcement
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.models.registry import MODELS
from ml_backend.rounds.log import append
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store.evaluation_predictions import evaluation_predictions
from ml_backend.store.project_store import QUESTION, Current, ProjectStore
from ml_backend.strategies.registry import STRATEGIES

SECOND = "headlines-0002-00000002"
MANY = tuple(f"class {number} <b>{number}</b>" for number in range(100))
PATHS = [page.path for page in PAGES]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three projects: texts, images, and nothing but tasks; read only."""
    folder = tmp_path_factory.mktemp("stores")
    make_store(folder, 1, versions=2, texts=(HOSTILE,) * 60, title=HOSTILE)
    make_store(folder, 2, versions=1, kind="Image", labels=("<i>one</i>", "two", "three"), title="Digits")
    make_store(folder, 3, versions=0, evaluated=4, open_tasks=4)
    return folder


@pytest.fixture
def services(root):
    return Services(Settings(model_dir=root, label_studio_api_key="k" * 40), LocalRoundQueue(lambda *_: {}))


@pytest.fixture
def web(root):
    return create_app(Settings(model_dir=root)).test_client()


@pytest.fixture
def own(tmp_path):
    """A store that the test may change, and its services."""
    store = make_store(tmp_path, 1, versions=2, evaluated=30)
    return store, Services(Settings(model_dir=tmp_path, label_studio_api_key="k" * 40), LocalRoundQueue(lambda *_: {}))


def words(component):
    """All that a component shows, and where its links go."""
    if isinstance(component, list | tuple):
        return " ".join(map(words, component))
    if hasattr(component, "to_plotly_json"):
        props = component.to_plotly_json()["props"]
        return " ".join([words(props.get("children")), str(props.get("href", "")), str(props.get("aria-label", ""))])
    return "" if component is None else str(component)


# --- pages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("project", [1, 2, 3])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_shows_every_project_and_its_data_is_json(services, web, project, path):
    _, content, shown = render(services, f"/dashboard/{project}/{path}", "")
    assert "cannot be shown" not in words(content)
    assert shown["project"] == project
    answer = web.get(f"/dashboard/api/projects/{project}/{path}")
    assert answer.status_code == 200
    assert isinstance(answer.json, dict)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("overview", "No labels yet"),
        ("learning-curve", "No model yet"),
        ("mistakes", "No version has been measured"),
        ("versions", "No model yet"),
    ],
)
def test_an_empty_project_says_what_to_do_next(services, path, said):
    shown = words(render(services, f"/dashboard/3/{path}", "")[1])
    assert said in shown
    assert "Label" in shown or "label" in shown


def test_the_list_of_projects(services, web, tmp_path):
    shown = words(render(services, "/dashboard/", "")[1])
    assert HOSTILE in shown
    assert "/dashboard/2/overview" in shown
    assert [row["title"] for row in web.get("/dashboard/api/projects").json["projects"]][1] == "Digits"
    empty = Services(Settings(model_dir=tmp_path / "none"), LocalRoundQueue(lambda *_: {}))
    assert "lsal create-project" in words(render(empty, "/dashboard/", "")[1])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dashboard/99/overview", "Nothing is known of project 99"),
        ("/dashboard/99999999999999999/overview", "is no project number"),
        ("/dashboard/-1/overview", "is no project number"),
        ("/dashboard/one/overview", "'one' is no project number"),
        ("/dashboard/%2e%2e%2f/x/y", "no page at this address"),
        ("/dashboard/1/nonsense", "There is no page 'nonsense'"),
        (f"/dashboard/1/{HOSTILE}", "no page at this address"),
    ],
)
def test_a_wrong_address_says_so(services, path, said):
    head, content, _ = render(services, path, "")
    assert said in words(content)
    assert "/dashboard/" in words([head, content])


@pytest.mark.parametrize(
    "search", ["?version=gone", "?version=../../x", "?limit=-5&target=nobody", "?a=x&b=%00", "?&&=", "?" + "x" * 10_000]
)
@pytest.mark.parametrize("path", PATHS)
def test_malformed_parameters_are_survived(services, web, path, search):
    shown = words(render(services, f"/dashboard/1/{path}", search)[1])
    assert "cannot be shown" not in shown
    assert web.get(f"/dashboard/api/projects/1/{path}{search}").status_code == 200


def test_a_deleted_version_is_told(services):
    assert "gone is not stored" in words(render(services, "/dashboard/1/mistakes", "?version=gone")[1])
    assert "gone is not stored" in words(render(services, "/dashboard/1/versions", f"?a=gone&b={SECOND}")[1])


def test_a_version_deleted_while_it_is_read_hides_no_other(own):
    store, services = own
    (store.folder / "versions" / "headlines-0001-00000001" / "model.json").write_text("{")
    for path in PATHS:
        shown = words(render(services, f"/dashboard/1/{path}", "")[1])
        # No map was drawn here, and the queue's page names tasks, not versions.
        assert SECOND in shown or (path in ("map", "queue") and "damaged" not in shown)
    assert "damaged" in words(render(services, "/dashboard/1/versions", "")[1])


def test_a_failed_round_and_a_damaged_store_are_told(own):
    store, services = own
    append(store, {"round": "x", "started": "", "ended": "", "steps": [], "error": "Label Studio is down. Start it."})
    assert "Label Studio is down. Start it." in words(render(services, "/dashboard/1/overview", "")[1])
    (store.folder / "measures.json").write_text("[")
    assert "measures.json is damaged" in words(render(services, "/dashboard/1/overview", "")[1])
    (store.folder / "current.json").write_text("[")
    head, content, _ = render(services, "/dashboard/1/overview", "")
    assert "current.json is damaged" in words(content)
    assert "Overview" in words(head)


def test_unforeseen_errors_show_no_content(own):
    class Failing(Services):
        def last_round(self, store):
            raise RuntimeError("the secret text of a task")

    services = Failing(own[1].settings, LocalRoundQueue(lambda *_: {}))
    shown = words(render(services, "/dashboard/1/overview", "")[1])
    assert "log says why" in shown
    assert "secret" not in shown


def test_the_change_is_only_told_of_the_same_evaluation(own):
    store, services = own
    assert "points" in words(render(services, "/dashboard/1/overview", "")[1])
    second = store.manifest(SECOND).model_copy(update={"evaluation_fingerprint": "other"})
    store.update_manifest(second)
    assert "points" not in words(render(services, "/dashboard/1/overview", "")[1])


# --- figures -----------------------------------------------------------------------------------------------------


def test_a_confusion_matrix_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    judged = evaluation_predictions(np.array([1, 2, 3, 4]), np.array([0, 1, 1, 1]), probabilities)
    assert confusion_matrix(judged, 2).tolist() == [[1, 0], [1, 2]]


def test_mistakes_come_most_confident_first_and_can_be_chosen(root):
    store = ProjectStore(root, "2.1700000000")
    found = read_mistakes(store)
    confidence = [row["confidence"] for row in found["mistakes"]]
    assert confidence == sorted(confidence, reverse=True)
    assert (
        found["wrong"]
        == len(confidence)
        == sum(sum(row) for row in found["confusion"]) - sum(found["confusion"][i][i] for i in range(3))
    )
    assert all(row["target"] != row["guess"] for row in found["mistakes"])
    target = found["mistakes"][0]["target"]
    chosen = read_mistakes(store, target=target, limit=1)
    assert chosen["shown_wrong"] == sum(row["target"] == target for row in found["mistakes"])
    assert len(chosen["mistakes"]) == 1
    assert found["mistakes"][0]["item"] == {"image": f"/dashboard/2/media/{found['mistakes'][0]['task']}"}


def test_a_hundred_classes_stay_readable(tmp_path):
    store = make_store(tmp_path, 1, versions=1, labels=MANY, evaluated=300)
    data = read_mistakes(store)
    figure = confusion_figure(data)
    ticks = figure["layout"]["xaxis"]["ticktext"]
    assert len(ticks) <= 25
    assert not any("<" in tick for tick in ticks)
    assert len(data["pairs"]) == 10
    assert len(figure["data"][0]["z"]) == 100


def test_text_of_users_is_no_markup_in_charts():
    assert text(HOSTILE) == HOSTILE.replace("<", "&lt;").replace(">", "&gt;")
    assert text("a & b") == "a &amp; b"


def test_two_versions_compared(own):
    store, _ = own
    first, second = store.versions()
    found = read_comparison(store, first, second)
    test = found["mcnemar"]
    before, after = (store.evaluation_predictions(name).right for name in (first, second))
    assert (test["won"], test["lost"]) == (int((after & ~before).sum()), int((before & ~after).sum()))
    assert [row["name"] for row in found["settings"]] == ["samples"]
    same = read_comparison(store, second, second)
    assert (same["mcnemar"]["p_value"], same["settings"]) == (1.0, [])
    with pytest.raises(StoreError, match="not stored"):
        read_comparison(store, first, "gone")


def test_what_is_asked_and_learnt_from_is_explained(own):
    store, services = own
    shown = words(render(services, "/dashboard/1/overview", "")[1])
    assert "the labels alone: too few evaluation tasks to compare." in shown
    assert f"entropy: {STRATEGIES['entropy'].when}." in shown
    append(store, {"round": "x", "queue": store.current().queue, "choice": "auto: items between the classes"})
    assert "auto: items between the classes." in words(render(services, "/dashboard/1/overview", "")[1])
    store.update_manifest(store.manifest(SECOND).model_copy(update={"learnt_from": "pool"}))
    (store.folder / "rounds.jsonl").unlink()  # the log goes back some rounds only
    assert "the labels and the whole pool." in words(render(services, "/dashboard/1/overview", "")[1])
    assert "pool" in words(render(services, "/dashboard/1/versions", "")[1])


def test_the_queue_says_why_each_task_is_there(own):
    store, services = own
    shown = words(render(services, "/dashboard/1/queue", "")[1])
    assert "Related (60%) or not related (40%)." in shown
    assert f": {STRATEGIES['entropy'].when} (20 tasks)." in shown
    queue = store.queue(store.current().queue)
    store.write_queue(replace(queue, strategy="entropy:0.9,random:0.1"))
    assert "(90% of the model's picks, 20 tasks)." in words(render(services, "/dashboard/1/queue", "")[1])
    store.write_queue(replace(queue, strategy="of another release"))
    assert "cannot be shown" not in words(render(services, "/dashboard/1/queue", "")[1])


def test_both_losses_of_a_version(own):
    store, _ = own
    first, second = read_learning(store)["versions"]
    assert [trace["name"] for trace in loss_figure(first)["data"]] == ["training"], "an older version has no other"
    training, validation = loss_figure(second)["data"]
    assert (training["x"], validation["x"]) == ([1, 2, 3, 4, 5, 6], [1, 3, 6])
    assert validation["y"] == [0.9, 0.5, 0.6]
    assert "of 30 evaluation tasks, 0.600 at the end, lowest (0.500) at epoch 3." in words(loss_part(second))


# --- settings of a round -----------------------------------------------------------------------------------------


def test_the_form_shows_defaults_and_what_is_set(own):
    store, services = own
    store.set_extra_params({"queue_size": 30, "hyperparameters": {"steps": 9}})
    rows = {row["name"]: row for row in read_form(services.settings, store)}
    assert (rows["queue_size"]["value"], rows["queue_size"]["default"]) == (30, 200)
    assert (rows["hyperparameters.steps"]["value"], rows["hyperparameters.steps"]["default"]) == (9, 0)
    assert rows["hyperparameters.learning_rate"]["default"] == 0.5


def test_the_form_offers_what_is_registered_for_the_projects_objects(services):
    texts, images, unknown = (
        {row["name"]: [name for name, _ in row.get("options", ())] for row in read_form(services.settings, store)}
        for store in (services.store(1), services.store(2), ProjectStore(services.settings.model_dir, "9.1"))
    )
    assert texts["strategy"] == list(STRATEGIES)
    assert texts["text_model"] == ["auto", *(name for name, model in MODELS.items() if model.object_tag == "Text")]
    assert texts["embedding"] == ["auto", *(name for name, each in ENCODERS.items() if each.object_tag == "Text")]
    assert "text_model" not in images
    assert "image_model" not in texts
    assert images["image_model"] == ["auto", *(name for name, each in MODELS.items() if each.object_tag == "Image")]
    assert images["embedding"] == ["auto", *(name for name, each in ENCODERS.items() if each.object_tag == "Image")]
    assert unknown["embedding"] == ["auto", *ENCODERS]
    shown = render(services, "/dashboard/1/overview", "")[1]
    drawn = json.dumps(shown.to_plotly_json(), default=lambda each: each.to_plotly_json())
    for name in (*STRATEGIES, *texts["text_model"], *texts["embedding"]):
        assert f'"value": "{name}"' in drawn


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("text_model", "best", "must be one of: auto, sentences, headlines"),
        ("embedding", "best", "must be one of: auto, gradients, minilm, wordllama"),
        ("strategy", "best", "Unknown strategy 'best'"),
        ("strategy", "entropy:0.9,random:0.2", "add up to 1.1"),
        ("queue_size", "0", "greater than or equal to 1"),
        ("queue_size", "many", "valid integer"),
        ("samples", "7.5", "valid integer"),
        ("control_share", "NaN", "finite number"),
        ("hyperparameters.steps", "-1", "Must be a whole number >= 0"),
        ("hyperparameters.learning_rate", "fast", "Must be a finite number >= 0, not 'fast'"),
        ("hyperparameters.dropout", "1", "Must be below 1"),
        ("hyperparameters.nonsense", "1", "no such setting"),
        ("hyperparameters", "{}", "no such setting"),
    ],
)
def test_wrong_values_are_explained(own, name, value, said):
    store, services = own
    found, problems = changes(services.settings, store, {name: value})
    assert found == {}
    assert said.lower() in problems[name].lower()


def test_a_default_takes_the_setting_away(own):
    """Else the fingerprint would differ, and the same model be trained again."""
    store, services = own
    store.set_extra_params({"queue_size": 30, "hyperparameters": {"steps": 9}})
    typed = {"queue_size": "200", "hyperparameters.steps": "", "strategy": "auto", "seed": "", "samples": "40"}
    found, problems = changes(services.settings, store, typed)
    assert problems == {}
    assert found == {"queue_size": None, "hyperparameters": {"steps": None}, "samples": 40}
    assert changes(services.settings, store, {"queue_size": "30"})[0] == {}


# --- rounds ------------------------------------------------------------------------------------------------------


def test_two_people_press_train_now_one_round_runs_and_both_are_told(root):
    begun, gate, ran = threading.Event(), threading.Event(), []

    def run(request):
        ran.append(request)
        begun.set()
        gate.wait(60)
        return {}

    services = Services(Settings(model_dir=root, label_studio_api_key="k" * 40), LocalRoundQueue(run))
    told: list[bool] = []
    people = [threading.Thread(target=lambda: told.append(services.ask(RoundRequest(1)).new)) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(told) == [False, True]
    assert begun.wait(60)
    # Other settings are another request: it waits for the round under way.
    assert services.ask(RoundRequest(1, settings={"seed": 3})).new
    gate.set()
    while services.running(1):
        pass
    assert ran == [RoundRequest(1), RoundRequest(1, settings={"seed": 3})]


def test_without_a_token_the_button_says_why(root):
    with pytest.raises(ConfigurationError, match="LABEL_STUDIO_API_KEY"):
        Services(Settings(model_dir=root), LocalRoundQueue(lambda *_: {})).ask(RoundRequest(1))


def test_the_pulse_and_what_a_screen_reader_hears(own):
    store, services = own
    before = read_pulse(services, 1)
    assert (before["running"], before["progress"], before["version"]) == (False, None, SECOND)
    store.write_document(
        "progress.json",
        {
            "round": "r",
            "trigger": "asked",
            "started": services._now().isoformat(),
            "step": "fit",
            "done": 3,
            "total": 10,
            "steps": [],
            "updated": services._now().isoformat(),
        },
    )
    pulse = read_pulse(services, 1)
    assert pulse["running"]
    assert announcement(pulse, before) == "Round: training."
    assert announcement(pulse, pulse) is None
    shown = words(round_section(pulse))
    assert "training 3 of 10" in shown
    stale = json.loads((store.folder / "progress.json").read_text()) | {"updated": "2020-01-01T00:00:00+00:00"}
    store.write_document("progress.json", stale)
    assert read_pulse(services, 1)["progress"] is None, "left behind by a process that was killed"
    assert announcement(before | {"round": "new"}, before) == "The round is done."
    assert announcement(before | {"round": "new", "error": "x"}, before) == "The round failed."


def test_the_front_page_is_the_overview():
    assert find_page("").path == "overview"


# --- HTTP --------------------------------------------------------------------------------------------------------

CALL = {
    "output": "train-answer.children",
    "outputs": {"id": "train-answer", "property": "children"},
    "inputs": [],
    "changedPropIds": [],
    "state": [],
}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_foreign_page_starts_nothing(web, headers, status):
    answer = web.post("/dashboard/_dash-update-component", data=json.dumps(CALL), headers=headers)
    assert answer.status_code == status


def test_our_own_page_is_let_in(web):
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert web.post("/dashboard/_dash-update-component", json=CALL, headers=headers).status_code not in (403, 415)
    assert web.get("/dashboard/1/overview", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_pages_bind_the_browser_and_fetch_nothing_from_elsewhere(web):
    answer = web.get("/dashboard/1/overview")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'sha256-" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "//cdn" not in answer.text
    assert "https://" not in answer.text.replace("https:\\u002f", "")
    assert "script-src" not in web.get("/health").headers["Content-Security-Policy"], "data runs nothing at all"


def test_images_of_tasks_with_an_etag(web):
    answer = web.get("/dashboard/2/media/1")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = web.get("/dashboard/2/media/1", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for path in ("/dashboard/2/media/99999", "/dashboard/1/media/1"):
        missing = web.get(path)
        assert (missing.status_code, missing.mimetype) == (200, "image/svg+xml")
        assert missing.headers["Cache-Control"] == "no-store"
    assert web.get("/dashboard/99/media/1").status_code == 404


def test_a_file_that_only_calls_itself_an_image_is_not_served(tmp_path):
    store = ProjectStore(tmp_path, "1.1")
    store.write_document(QUESTION, {"title": "x", "field": "image", "object_tag": "Image", "labels": ["a", "b"]})
    scripts = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    fill_cache(store, {1: {"image": scripts}, 2: {"image": "data:text/html,<script>alert(1)</script>"}, 3: {}}, {})
    web = create_app(Settings(model_dir=tmp_path)).test_client()
    for task in (1, 2, 3):
        assert b"script" not in web.get(f"/dashboard/1/media/{task}").data


def test_a_version_to_take_away(tmp_path):
    settings = Settings(model_dir=tmp_path)
    publish(settings, UID, {1: 0.5})
    web = create_app(settings).test_client()
    answer = web.get("/dashboard/7/versions/headlines-0001-0123abcd.zip")
    assert answer.status_code == 200
    names = ZipFile(io.BytesIO(answer.data)).namelist()
    assert [name.split("/")[1] for name in names] == ["example.py", "model.json", "weights.safetensors"]
    answer.close()
    for wrong in ("gone", ".tmp-x", "%2e%2e"):
        assert web.get(f"/dashboard/7/versions/{wrong}.zip").status_code == 404
    assert web.get("/dashboard/7/versions/..%2f..%2fetc.zip").mimetype == "text/html"  # a page, which says so


def test_unknown_data_is_json_too(web):
    assert "overview" in web.get("/dashboard/api/projects/1/nonsense").json["error"]
    missing = web.get("/dashboard/api/projects/99/overview")
    assert (missing.status_code, "Nothing is known" in missing.json["error"]) == (404, True)


def test_the_pool_may_be_large(tmp_path):
    """50,000 tasks: pages read only those that they show."""
    store = make_store(tmp_path, 1, versions=1, evaluated=40, open_tasks=50_000)
    services = Services(Settings(model_dir=tmp_path), LocalRoundQueue(lambda *_: {}))
    for path in PATHS:
        assert "cannot be shown" not in words(render(services, f"/dashboard/1/{path}", "")[1])
    assert store.current() == Current("headlines-0001-00000001", "headlines-0001-00000001.entropy-0001")
    shutil.rmtree(tmp_path)
