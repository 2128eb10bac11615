"""A training that somebody cancels from the dashboard: model, order and labels are as they were."""

from pathlib import Path

from playwright.sync_api import Page, expect
from support.annotators import headlines
from support.attacks import AttackedServer
from support.installation import connect
from support.label_studio import LiveLabelStudio, MakeProject
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.rounds.log import rounds
from ml_backend.store.project_store import open_project

PATIENCE = 120_000
"""Milliseconds: the process of the rounds imports torch first."""
ENDLESS = {"hyperparameters": {"steps": 100_000}, "learn_from_pool": False}


def test_cancel_leaves_model_and_order_as_they_were(
    make_project: MakeProject, label_studio: LiveLabelStudio, page: Page, tmp_path: Path
) -> None:
    project = headlines(make_project, labelled=8, in_all=30)
    server = AttackedServer(
        tmp_path, LABEL_STUDIO_URL=label_studio.url, LABEL_STUDIO_API_KEY=label_studio.token, POLL_SECONDS="0"
    )
    try:
        settings = Settings(model_dir=server.model_dir)
        params = {"train_after_labels": 1000, "train_after_seconds": 3600, "control_share": 0, "queue_size": 8}
        connect(project, server.url, settings, **params)
        start_training = {"action": "START_TRAINING", "project": {"id": project.id}}
        until(lambda: server.http.get("/status").json()["projects"].get(str(project.id)), "the connected project")
        server.http.post("/webhook", json=start_training)
        until(lambda: (found := open_project(server.model_dir, project.id)) and rounds(found), "a first round")
        store = open_project(server.model_dir, project.id)
        assert store is not None
        before = kept(project, store)
        connect(project, server.url, settings, **(params | ENDLESS))
        server.http.post("/webhook", json=start_training)
        page.goto(f"{server.url}/dashboard/{project.id}")
        expect(page.get_by_text("A round is under way")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("training ").first).to_be_visible(timeout=PATIENCE)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("The round was cancelled; model and order are as they were.")).to_be_visible()
        until(lambda: len(rounds(store)) == 2, "the cancelled round in the log")

        assert "Cancelled" in rounds(store)[-1]["error"]
        assert kept(project, store) == before
        # The project goes on: the next round is an ordinary one.
        connect(project, server.url, settings, **params)
        project.client.annotate(project.client.next_task(project.id)["id"], project.answer("related"))
        server.http.post("/webhook", json=start_training)
        until(lambda: len(rounds(store)) == 3, "a round after it")
        assert (rounds(store)[-1]["error"], rounds(store)[-1]["labels"]) == (None, 9)
    finally:
        server.close()


def kept(project, store):
    """What a cancelled round must not touch: served model and its versions, and the order that people get."""
    shown = [(row["task"], row["model_version"], row["score"]) for row in project.client.predictions(project.id)]
    return store.versions(), store.current(), store.queues(), project.project.model_version, sorted(shown)
