"""Several people at once, behind a real Label Studio: no label is lost, answers are pooled, doubts are shown."""

import pytest
from support.annotators import QUICK, WORDS, headlines, label_on_sqlite, stream, truth

from ml_backend.config import ProjectSettings
from ml_backend.errors import ModelError
from ml_backend.rounds import label_review as recheck
from ml_backend.rounds.log import rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import open_project

# --- many labels by 4 people --------------------------------------------------------------------------------------


def test_labels_by_4_people_while_rounds_run(make_project, label_studio, tmp_path, monkeypatch):
    """Forty labels; ``make endurance`` makes it 200."""
    label_on_sqlite(make_project, label_studio, tmp_path, monkeypatch, each=10)


# --- several answers to one task ---------------------------------------------------------------------------------


def test_two_answers_for_each_task(make_project, label_studio, tmp_path):
    """What stock Label Studio does with ``maximum_annotations = 2``, and what a round makes of the answers."""
    project = headlines(make_project, labelled=0, in_all=12)
    project.client.request("PATCH", f"api/projects/{project.id}", body={"maximum_annotations": 2})
    ann, bob = label_studio.create_user(), label_studio.create_user()
    workspace = Workspace(project.client, tmp_path, ProjectSettings(**QUICK))
    order = [p.task_id for p in run_round(workspace, RoundRequest(project.id)).queue.predictions]

    right = lambda task: truth(task["data"]["text"])  # noqa: E731
    assert stream(project, ann, right, 4) == order[:4], "the first person follows the queue"
    wrong = order[2]
    other = lambda task: "related" if right(task) == "not related" else "not related"  # noqa: E731
    answers = stream(project, bob, lambda task: (other if task["id"] == wrong else right)(task), 4)
    assert sorted(answers) == sorted(order[:4]), "the second one gets what has an answer already, in random order"
    assert stream(project, bob, right, 1) == order[4:5], "and then the queue, too"
    assert stream(project, ann, right, 2) == order[4:6], "as the first one again gets what the second began"

    report = record_round(workspace, RoundRequest(project.id, "asked"))
    found = report.agreement
    assert (found.tasks, found.answers, found.tied) == (5, 10, 1)
    assert found.percent == pytest.approx(80)
    assert found.alpha < 1
    assert sum(report.label_counts.values()) == 5, "the tied one of six tasks is left out"
    assert any(
        f"1 tasks have tied answers and are left out until another decides: {wrong}." in w for w in report.warnings
    )
    store = open_project(tmp_path, project.id)
    assert store.manifest(report.version).agreement["alpha"] == pytest.approx(found.alpha)
    assert rounds(store)[-1]["agreement"]["tied"] == 1

    carol = label_studio.create_user()  # Label Studio asks for no third answer by itself; anybody can give one
    carol.client.annotate(wrong, project.answer("related"))
    decided = run_round(workspace, RoundRequest(project.id))
    assert (decided.agreement.tied, sum(decided.label_counts.values())) == (0, 6)


# --- the tab of doubtful labels ----------------------------------------------------------------------------------


def listed(project, tab):
    params = {"view": tab["id"], "page_size": 100}
    return {task["id"] for task in project.client.request("GET", "api/tasks", params=params).json()["tasks"]}


def test_the_recheck_tab_lists_the_doubtful_labels(make_project, label_studio, tmp_path, monkeypatch):
    project, wrong = make_project("headlines"), range(3, 40, 12)
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(60)]
    for number, row in enumerate(rows[:50]):
        label = ("related", "not related")[(number + (number in wrong)) % 2]
        row["annotations"] = [{"result": project.answer(label)}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    flipped = [project.task_ids[number] for number in wrong]
    workspace = Workspace(project.client, tmp_path, ProjectSettings(text_model="headlines"))
    run_round(workspace, RoundRequest(project.id))
    titles = lambda: [tab["data"]["title"] for tab in project.client.tabs(project.id)]  # noqa: E731
    assert recheck.TAB_TITLE not in titles(), "only projects that ask for it have one"

    theirs = {"project": project.id, "data": {"title": recheck.TAB_TITLE}}
    project.client.request("POST", "api/dm/views", body=theirs)
    before = project.client.tabs(project.id)
    on = {"recheck": 10}
    report = run_round(workspace, RoundRequest(project.id), RunOptions(overrides=on))
    assert not report.trained
    assert set(report.doubted) == set(flipped)
    assert [step.name for step in report.steps][-1] == "re-check", "after the queue is published"
    *others, tab = project.client.tabs(project.id)
    assert others == before
    assert listed(project, tab) == set(flipped)

    # Mended labels leave the tab; a tie enters it.
    for task_id in flipped[:2]:
        (annotation,) = project.client.request("GET", f"api/tasks/{task_id}").json()["annotations"]
        label = truth(f"{WORDS[project.task_ids.index(task_id) % 2]}")
        project.client.request("PATCH", f"api/annotations/{annotation['id']}/", body={"result": project.answer(label)})
    label_studio.create_user().client.annotate(project.task_ids[1], project.answer("related"))
    report = run_round(workspace, RoundRequest(project.id), RunOptions(overrides=on))
    assert report.doubted[0] == project.task_ids[1], "ties come first"
    assert set(report.doubted) == {project.task_ids[1], *flipped[2:]}
    assert listed(project, tab) == set(report.doubted)

    # Without news nothing is fitted, a deleted tab comes back, and a failure fails no round.
    def broken(*args, **kwargs):
        raise ModelError("no memory")

    monkeypatch.setattr(recheck, "out_of_sample", broken)
    project.client.request("DELETE", f"api/dm/views/{tab['id']}")
    again = run_round(workspace, RoundRequest(project.id), RunOptions(overrides=on))
    assert again.doubted == report.doubted
    assert listed(project, project.client.tabs(project.id)[-1]) == set(report.doubted)
    failed = run_round(workspace, RoundRequest(project.id), RunOptions(overrides=on | {"seed": 1}))
    assert failed.published
    assert 'The tab "Re-check" is not up to date: no memory' in failed.warnings

    # Who switches it off gets rid of the tab, and of nothing else.
    off = run_round(workspace, RoundRequest(project.id))
    assert off.doubted is None
    assert project.client.tabs(project.id) == before
