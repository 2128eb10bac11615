"""Every page over stores on disk: what it shows, and what it says of nothing."""

import json
import threading

import pytest
from bench.dashboard_store import HOSTILE
from support.dashboards import PATHS, SECOND, words

from ml_backend.config import Settings
from ml_backend.dashboard.pages.overview_rounds import round_section
from ml_backend.dashboard.pulse import read_pulse
from ml_backend.dashboard.reading.overview import read_overview
from ml_backend.dashboard.routing import find_page, render
from ml_backend.dashboard.services import Services
from ml_backend.dashboard.shell import announcement
from ml_backend.errors import ConfigurationError
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.rounds.log import append
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app


@pytest.mark.parametrize("project", [1, 2, 3])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_shows_every_project_and_its_data_is_json(services, web, project, path):
    _, content, shown = render(services, f"/dashboard/{project}/{path}", "")
    assert "cannot be shown" not in words(content)
    assert shown["project"] == project
    answer = web.get(f"/dashboard/api/projects/{project}/{path}")
    assert answer.status_code == 200
    assert isinstance(answer.json, dict)


def test_links_lead_to_where_browsers_reach_label_studio(root):
    settings = Settings(
        model_dir=root, label_studio_url="http://label-studio:8080", label_studio_public_url="https://labels.example"
    )
    services, web = Services(settings, LocalRoundQueue(lambda *_: {})), create_app(settings).test_client()
    pages = [words(render(services, f"/dashboard/1/{path}", "")[1]) for path in PATHS]
    pages += [web.get(f"/dashboard/api/projects/1/{path}").text for path in PATHS]
    assert sum("https://labels.example/projects/1/data" in page for page in pages) >= len(PATHS)
    assert not [page for page in pages if "http://label-studio:8080" in page]


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
        ("/dashboard/99/overview", "Nothing is known about project 99"),
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
        # No map was drawn here, and queue and search name tasks, not versions.
        assert SECOND in shown or (path in ("map", "queue", "search") and "damaged" not in shown)
    assert "damaged" in words(render(services, "/dashboard/1/versions", "")[1])


def test_a_version_that_guesses_is_told_among_the_others(own):
    store, services = own
    assert "no better than guessing" not in words(render(services, "/dashboard/1/versions", "")[1])
    found = {"guessing": True, "sentence": "no better than guessing: so it is"}
    store.update_manifest(store.manifest(SECOND).model_copy(update={"guessing": found}))
    assert "no better than guessing" in words(render(services, "/dashboard/1/versions", "")[1])


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


def test_a_warning_goes_once_what_it_counted_has_changed(own):
    store, services = own
    now = read_overview(services, store)["numbers"]
    told = ["Sampling had been changed.", "No example yet of: sport.", "3 skipped tasks are left out."]
    line = {"round": "x", "started": "", "ended": services._now().isoformat(), "steps": [], "error": None}
    line |= {"messages": told, "messages_about": [None, "labels", "skipped"]}
    append(store, line | {"counted": now | {"labels": now["labels"] - 1}})
    assert read_overview(services, store)["warnings"] == [told[0], told[2]]
    shown = words(render(services, "/dashboard/1/overview", "")[1])
    assert told[0] in shown
    assert told[1] not in shown
    del line["messages_about"]
    append(store, line)
    assert read_overview(services, store)["warnings"] == told, "older releases did not say what a warning is about"


def test_the_questions_beside_the_first_stand_with_it(own):
    store, services = own
    told = [
        '"tags": 30 labels (4 of none of its choices), accuracy 80.0% (whole sets; macro F 90.0%)',
        '"stars": 9 labels',
    ]
    line = {"round": "x", "started": "", "ended": services._now().isoformat(), "steps": [], "error": None}
    assert read_overview(services, store)["beside"] == [], "older releases did not say"
    append(store, line | {"beside": told})
    append(store, line | {"error": "Label Studio is down."})
    assert read_overview(services, store)["beside"] == told
    shown = words(render(services, "/dashboard/1/overview", "")[1])
    assert "Beside it" in shown
    assert f"{told[0]}; {told[1]}." in shown.replace('\\"', '"')


def test_without_a_copy_of_the_tasks_pages_count_by_the_last_round(own):
    store, services = own
    now = read_overview(services, store)["numbers"]
    store.write_document("measures.json", store.document("measures.json") | {"numbers": now})
    store.task_cache_path.unlink()
    found = read_overview(services, store)
    assert found["numbers"] == now == read_pulse(services, 1)["numbers"]
    assert found["queue"]["answered"] == now["queue"]["answered"]
    assert "tasks are open, " in words(render(services, "/dashboard/1/overview", "")[1])


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
    assert (
        "training, 30% of it done. It has just begun; about 4 seconds left (a training round here takes 4 seconds)."
        in shown
    )
    stale = json.loads((store.folder / "progress.json").read_text()) | {"updated": "2020-01-01T00:00:00+00:00"}
    store.write_document("progress.json", stale)
    assert read_pulse(services, 1)["progress"] is None, "left behind by a process that was killed"
    assert announcement(before | {"round": "new"}, before) == "The round is done."
    assert announcement(before | {"round": "new", "error": "x"}, before) == "The round failed."


def test_the_front_page_is_the_overview():
    assert find_page("").path == "overview"
