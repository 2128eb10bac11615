"""The dashboard's figures, by hand, and its form of a round's settings."""

import json
from dataclasses import replace

import numpy as np
import pytest
from bench.dashboard_store import HOSTILE, make_store
from support.dashboards import MANY, SECOND, words

from ml_backend.config import Settings
from ml_backend.dashboard.charts import text
from ml_backend.dashboard.figures import confusion_figure, loss_figure
from ml_backend.dashboard.pages.learning import loss_part
from ml_backend.dashboard.reading.form import changes, read_form
from ml_backend.dashboard.reading.learning import read_learning
from ml_backend.dashboard.reading.mistakes import confusion_matrix, drawn_classes, read_mistakes
from ml_backend.dashboard.reading.overview import in_plain_words, read_overview
from ml_backend.dashboard.reading.versions import read_comparison
from ml_backend.dashboard.routing import render
from ml_backend.dashboard.services import Services
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import StoreError
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.models.registry import MODELS
from ml_backend.records import CONTROL
from ml_backend.rounds.log import append
from ml_backend.store.evaluation_predictions import evaluation_predictions
from ml_backend.store.project_store import ProjectStore
from ml_backend.strategies.registry import STRATEGIES


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


def test_of_a_thousand_classes_those_with_the_most_errors_are_drawn():
    counts = np.zeros((1_000, 1_000), np.int64)
    np.fill_diagonal(counts, 9)
    counts[700, 3] = counts[5, 900] = 4
    drawn = drawn_classes(counts)
    assert {3, 5, 700, 900} <= set(drawn.tolist())
    assert drawn.tolist() == sorted(drawn.tolist())
    assert len(drawn) == 40
    cells = counts[np.ix_(drawn, drawn)].tolist()
    names = [f"class {number}" for number in drawn]
    data = {"drawn": names, "confusion": cells, "row_totals": counts[drawn].sum(axis=1).tolist()}
    (trace,) = confusion_figure(data)["data"]
    row, column = (drawn.tolist().index(number) for number in (700, 3))
    assert trace["z"][row][column] == 4 / 13


def test_a_page_of_a_thousand_classes(tmp_path):
    labels = tuple(f"class {number}" for number in range(1_000))
    make_store(tmp_path, 1, versions=1, labels=labels, evaluated=300)
    told = words(
        render(Services(Settings(model_dir=tmp_path), LocalRoundQueue(lambda *_: {})), "/dashboard/1/mistakes", "")[1]
    )
    assert "The 40 classes with the most errors; 960 others are not drawn." in told


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
    assert "all tasks, labelled or not." in words(render(services, "/dashboard/1/overview", "")[1])
    assert "all tasks" in words(render(services, "/dashboard/1/versions", "")[1])


def test_control_tasks_of_sets_are_told_as_whole_sets(own):
    store, services = own
    store.task_cache_path.unlink()  # what the last round measured is shown
    live = {CONTROL: {"n": 60, "accuracy": 0.75, "low": 0.6, "high": 0.8}}
    store.write_document("measures.json", store.document("measures.json") | {"live": live})
    assert "people gave the label that" in words(render(services, "/dashboard/1/overview", "")[1])
    metrics = store.manifest(SECOND).metrics | {"f_micro": 0.8}
    store.update_manifest(store.manifest(SECOND).model_copy(update={"metrics": metrics}))
    shown = words(render(services, "/dashboard/1/overview", "")[1])
    assert "On the last 60 control tasks people gave exactly the labels that the model had guessed in 75%" in shown
    assert "Whole sets right" in shown


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
    assert [trace["name"] for trace in loss_figure(first)["data"]] == ["labels learnt from"], (
        "an older version has no other"
    )
    training, validation = loss_figure(second)["data"]
    assert (training["x"], validation["x"]) == ([1, 2, 3, 4, 5, 6], [1, 3, 6])
    assert validation["y"] == [0.9, 0.5, 0.6]
    assert "of 30 evaluation tasks, 0.600 at the end, lowest (0.500) at epoch 3." in words(loss_part(second))


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
        ("embedding", "best", "must be one of: auto, gradients"),
        ("strategy", "best", "Unknown strategy 'best'"),
        ("strategy", "entropy:0.9,random:0.2", "add up to 1.1"),
        ("queue_size", "0", "Must be a whole number from 1 to 100,000."),
        ("queue_size", "many", "Must be a whole number from 1 to 100,000."),
        ("samples", "7.5", "Must be a whole number from 2 to 1,000."),
        ("control_share", "NaN", "Must be a number from 0 to 0.5."),
        ("hyperparameters.steps", "-1", "Must be a whole number from 0 to 100,000"),
        ("hyperparameters.learning_rate", "fast", "Must be a number from 0, not 'fast'"),
        ("hyperparameters.dropout", "1", "Must be a number from 0 to below 1"),
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


def test_what_older_rounds_said_is_shown_in_the_words_of_today():
    said = "learnt from the 8,000 items of the pool: macro F 0.986 with the pool, 0.935 from the labels alone, on 9"
    assert in_plain_words(said) == (
        "learnt from all 8,000 tasks, labelled or not: mean F-score of the classes 98.6% from all tasks, 93.5% from "
        "the labels alone, on 9"
    )
    today = (
        "learnt from the labels alone: mean F-score of the classes 62.6% from all tasks, 68.9% from the labels alone"
    )
    assert in_plain_words(today) == today


def test_numbers_of_another_version_are_not_told_of_this_one(own):
    store, services = own
    assert "Go on: predictions still change." in words(render(services, "/dashboard/1/overview", "")[1])
    store.write_document("measures.json", store.document("measures.json") | {"version": store.versions()[0]})
    shown = words(render(services, "/dashboard/1/overview", "")[1])
    assert "still to be measured" in shown
    assert "predictions still change" not in shown


@pytest.mark.parametrize("part", ["model.json", "weights.safetensors"])
def test_a_damaged_version_in_use_is_told_and_what_answers_in_its_place(own, part):
    store, services = own
    assert read_overview(services, store)["problems"] == []
    current = store.current().version
    (store.version_folder(current) / part).write_bytes(b"torn")
    (problem,) = read_overview(services, store)["problems"]
    assert part in problem
    assert problem.endswith(f"{store.versions()[0]} answers in its place.")
    assert store.versions()[0] != current
