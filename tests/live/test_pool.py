"""Rounds that learn from the pool, against a real Label Studio: from no label at all to a served model."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from support.faulty_proxy import Fault, FaultyProxy
from support.serving import ServedApp
from support.strokes import BARS, TWO_BARS, strokes
from support.waiting import until

from ml_backend.config import ProjectSettings, Settings
from ml_backend.errors import ConfigurationError
from ml_backend.importing.image_files import png_data_uri
from ml_backend.instant.loop import InstantLoop
from ml_backend.instant.order import InstantOrder
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.label_studio.answers import label_of
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.retries import RetryPolicy
from ml_backend.records import CONTROL
from ml_backend.rounds import embedding as project_embedding
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding
from ml_backend.server import create_app
from ml_backend.store.instant_graph import read
from ml_backend.store.library import ModelLibrary
from ml_backend.store.manifest import WEIGHTS_FILE
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.query_log import recorded
from ml_backend.store.queue_reorderings import INSTANT

SETTINGS = ProjectSettings(queue_size=20, control_share=0, hyperparameters={"steps": 30})


@pytest.fixture(scope="module")
def bars(make_project):
    """230 images of bars in a project for digits; upright ones are a 1, others a 7."""
    images = strokes(230)
    project = make_project("mnist", [{"image": png_data_uri(image)} for image in images])
    kinds = dict(zip(project.task_ids, ["1" if number % 2 == 0 else "7" for number in range(230)], strict=True))
    return project, kinds


def steps_of(report):
    return [step.name for step in report.steps]


def test_from_no_label_to_a_model_of_the_whole_pool(bars, tmp_path):
    project, kinds = bars
    workspace = Workspace(project.client, tmp_path, SETTINGS, keep_queues=timedelta(0))

    first = run_round(workspace, RoundRequest(project.id), RunOptions(at_once=100))
    store = ProjectStore(tmp_path, project.project.uid)
    assert steps_of(first).count("switch") == 2, "an order stands while the embedding is learnt, then a better one"
    order = [step for step in steps_of(first) if step in ("embed", "switch")]
    assert order == ["embed", "switch", "embed", "switch"], "a part of the pool comes first"
    assert [step.detail for step in first.steps if step.name == "embed"] == [
        "100 items by gradients",
        "230 items by gradients",
    ]
    assert first.queue.name == "start.auto-0002"
    assert "until there are 8 labels (0 now)" in first.choice
    assert "raw features" not in first.choice
    assert {kinds[p.task_id] for p in first.queue.predictions[:8]} == {"1", "7"}
    kept = PoolEmbedding.load(store.folder / project_embedding.FILE)
    assert len(kept) == 230

    for prediction in first.queue.predictions[:8]:
        project.client.annotate(prediction.task_id, project.answer(kinds[prediction.task_id]))
    second = run_round(workspace, RoundRequest(project.id))
    assert "embed" not in steps_of(second)
    assert steps_of(second).count("switch") == 1
    assert second.learnt_from.startswith("learnt from all 230 tasks, labelled or not")
    manifest = store.manifest(second.version)
    assert (manifest.learnt_from, manifest.examples) == ("pool", 8)
    assert "between two classes" in second.choice
    guesses = [kinds[p.task_id] == p.label for p in second.queue.predictions]
    assert np.mean(guesses) > 0.8, "eight labels, and the rest is known"
    assert project.client.next_task(project.id)["id"] == second.queue.predictions[0].task_id

    for prediction in second.queue.predictions[:4]:
        project.client.annotate(prediction.task_id, project.answer(kinds[prediction.task_id]))
    further = run_round(workspace, RoundRequest(project.id))
    manifest = store.manifest(further.version)
    assert (manifest.started_from, manifest.in_a_row) == (second.version, 1)
    assert "went on from the version before" in further.learnt_from
    assert np.mean([kinds[p.task_id] == p.label for p in further.queue.predictions]) > 0.8

    (store.folder / "versions" / further.version / WEIGHTS_FILE).write_bytes(b"half a file")
    for prediction in further.queue.predictions[:4]:
        project.client.annotate(prediction.task_id, project.answer(kinds[prediction.task_id]))
    workspace = replace(workspace, library=ModelLibrary())
    anew = run_round(workspace, RoundRequest(project.id))
    assert (store.manifest(anew.version).started_from, anew.trained) == (None, True)
    assert any("The new model begins anew" in warning for warning in anew.warnings)

    later = [{"data": {"image": png_data_uri(image)}} for image in strokes(232)[230:]]
    project.client.import_tasks(project.id, later)
    third = run_round(workspace, RoundRequest(project.id))
    assert (third.trained, "embed" in steps_of(third)) == (False, True), "an import is no reason to train"
    assert len(PoolEmbedding.load(store.folder / project_embedding.FILE)) == 232

    (store.folder / project_embedding.FILE).write_bytes(b"half a file")
    assert "embed" in steps_of(run_round(workspace, RoundRequest(project.id))), "a damaged one is computed again"

    plain = run_round(workspace, RoundRequest(project.id), RunOptions(overrides={"learn_from_pool": False}))
    assert store.manifest(plain.version).learnt_from == "labels"


def test_shares_of_labels_that_are_not_there_are_refused(bars, tmp_path):
    """A misspelt label would silently never be expected."""
    project, _ = bars
    workspace = Workspace(project.client, tmp_path, SETTINGS)
    before = project.project.model_version
    with pytest.raises(
        ConfigurationError, match="class_shares names 'one'; name each label of the labeling config once"
    ):
        run_round(workspace, RoundRequest(project.id), RunOptions(overrides={"class_shares": {"one": 1.0}}))
    assert project.project.model_version == before, "the old order stands"


@pytest.fixture
def instant(make_project, label_studio, tmp_path):
    """A project of bars, and a server whose instant loop hears of its answers and reaches Label Studio by a proxy."""
    project = make_project("bars", config=TWO_BARS)
    rows = [{"data": {"image": png_data_uri(image)}} for image in strokes(260)]
    for number, row in enumerate(rows[:12]):
        row["annotations"] = [{"result": project.answer(BARS[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    settings = Settings(label_studio_url=label_studio.url, model_dir=tmp_path, poll_seconds=0)
    proxy = FaultyProxy(label_studio.url)
    once = RetryPolicy(tries=1, tries_when_locked=1)
    loop = InstantLoop(
        settings,
        client=lambda: LabelStudioClient(proxy.url, label_studio.token, timeout=60, patience=once),
        worth_it=1.0,  # so that much is moved
    )
    server = ServedApp(create_app(settings, rounds=LocalRoundQueue(lambda *_: {}), instant=loop))
    loop.start()
    project.client.create_webhook(project.id, f"{server.url}/webhook", {})
    yield project, loop, proxy
    server.close()
    loop.stop()
    proxy.close()


def settled(loop, project, answers=0):
    """Wait until the loop has taken in so many answers and is done with them; its status."""
    return until(
        lambda: not (found := loop.status(project.id))["busy"] and found["answers"] >= answers and found,
        f"{answers} answers are taken in",
    )


def annotate_next(project, wrong=False):
    """Answer what Label Studio serves next, as the page does; the task and the label."""
    task = project.client.next_task(project.id)["id"]
    label = BARS[(project.task_ids.index(task) + wrong) % 2]
    project.client.annotate(task, project.answer(label))
    return task, label


def test_the_next_task_knows_the_last_answer_and_nothing_else_is_moved(instant, tmp_path):
    project, loop, proxy = instant
    workspace = Workspace(project.client, tmp_path, SETTINGS.override({"control_share": 0.2}, where="test"))
    published = run_round(workspace, RoundRequest(project.id)).queue
    store, places = ProjectStore(tmp_path, project.project.uid), [row.picked_by for row in published.predictions]
    left = read(store.folder)
    order, items = InstantOrder(left.graph), {task: item for item, task in enumerate(left.task_ids.tolist())}
    asked = []
    for turn in range(10):
        # Whoever errs surprises the loop: what it prepared for the next place is then wrong.
        task, label = annotate_next(project, wrong=turn % 2 == 1)
        asked.append(task)
        order.answer(items[task], project.question.labels.index(label))
        settled(loop, project, turn + 1)
        served = project.client.next_task(project.id)["id"]
        if places[turn + 1] == CONTROL:
            assert served == published.predictions[turn + 1].task_id, "a control task keeps its place"
        else:
            movable = [p.task_id for p in published.predictions if p.picked_by == "auto" and p.task_id not in asked]
            worth, may = order.values(), np.isin(left.task_ids, movable)
            assert worth[items[served]] == worth[may].max(), "no other would tell more"
    status, now = settled(loop, project), store.queue(published.name)
    # How many are late depends on the tasks' ids, which this Label Studio gives: perhaps none.
    assert (status["moved"] > status["moved_late"], status["problem"]) == (True, "")
    rows = {row["task"]: row for row in project.client.predictions(project.id)}
    assert [p.task_id for p in now.predictions] == sorted(rows, key=lambda task: rows[task]["score"])
    assert all(
        rows[p.task_id]["score"] == p.score and rows[p.task_id]["model_version"] == now.name for p in now.predictions
    )
    guessed = {p.task_id: p.label for p in published.predictions if p.picked_by != CONTROL}
    assert {task: label_of(rows[task]["result"], project.question) for task in guessed} == guessed

    # Label Studio does not answer: Submit and the order are as they were, and so is the round to come.
    proxy.start(lambda request: Fault.DOWN if request.name.startswith("PATCH") else None)
    while not loop.status(project.id)["problem"]:
        asked.append(annotate_next(project, wrong=True)[0])
        settled(loop, project)
    assert store.queue(published.name) == now
    proxy.heal()

    second = run_round(workspace, RoundRequest(project.id)).queue
    assert project.client.prediction_versions(project.id)[second.name] == len(second.predictions)
    assert not {p.task_id for p in second.predictions} & set(asked)
    why = {task: answer.picked_by for task, answer in recorded(store).items()}
    raised = {p.task_id for p in now.predictions if p.picked_by == INSTANT}
    expected = [
        CONTROL if place == CONTROL else INSTANT if task in raised else "auto"
        for place, task in zip(places, asked, strict=False)
    ]
    assert [why[task] for task in asked] == expected
    assert raised & set(asked)
