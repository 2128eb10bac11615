"""A person's view while the model learns: the order changes by itself, and the doubtful labels have a tab."""

from playwright.sync_api import Page, expect
from support.annotators import headlines
from support.installation import connect
from support.label_studio import LiveLabelStudio, MakeProject
from support.pages import ARTEFACTS, errors_of, shown_task
from support.waiting import until

from ml_backend.config import ProjectSettings
from ml_backend.rounds.label_review import TAB_TITLE
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import open_project


def test_a_round_fires_and_the_order_changes_without_touching_anything(
    make_project: MakeProject, install, page: Page, label_studio: LiveLabelStudio
) -> None:
    project = headlines(make_project, labelled=6, in_all=30)
    product = install(queue_size=20, poll_seconds=1)
    connect(project, product.url, product.settings, train_after_labels=3, train_after_seconds=600.0, control_share=0)
    (first,) = until(lambda: product.rounds(project), "a round for the labels that were there")
    store = open_project(product.settings.model_dir, project.id)
    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_role("button", name="Label All Tasks").click()
    answered: list[int] = []
    for _ in range(3):
        answered.append(shown_task(page, after=answered[-1] if answered else None))
        submit(page)
    assert answered == [item.task_id for item in store.queue(first["queue"]).predictions[:3]]

    # The next task is on the screen before the round has begun, and stays this person's.
    held = shown_task(page, after=answered[-1])
    second = until(lambda: product.rounds(project)[1:], "a round for the three labels")[0]
    assert (second["trigger"], second["labels"]) == ("labels", 9)
    colleague = label_studio.create_user()
    theirs = colleague.client.next_task(project.id)["id"]
    submit(page)
    taken = {*answered, held, theirs}
    following = [item.task_id for item in store.queue(second["queue"]).predictions if item.task_id not in taken]
    assert shown_task(page, after=held) == following[0], "the new queue's first task that nobody has open"


def submit(page: Page) -> None:
    """Accept the model's guess, as annotators do: Ctrl+Enter."""
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as response:
        page.keyboard.press("Control+Enter")
    assert response.value.status == 201


def test_the_recheck_tab_shows_exactly_the_doubtful_tasks(
    make_project: MakeProject,
    page: Page,
    label_studio: LiveLabelStudio,
    tmp_path,
) -> None:
    project = make_project("headlines")
    rows = [
        {"data": {"text": f"{('flood in the river', 'football match tonight')[n % 2]}, story {n}"}} for n in range(40)
    ]
    flipped = {7, 20, 31}
    for number, row in enumerate(rows[:36]):
        wrong = number in flipped
        row["annotations"] = [{"result": project.answer(("related", "not related")[(number + wrong) % 2])}]
    ids = project.client.import_tasks(project.id, rows)
    report = run_round(Workspace(project.client, tmp_path, ProjectSettings(recheck=10)), RoundRequest(project.id))
    assert set(report.doubted) == {ids[number] for number in flipped}
    errors = errors_of(page, console=False)
    tab = next(tab for tab in project.client.tabs(project.id) if tab["data"]["title"] == TAB_TITLE)
    page.goto(f"{label_studio.url}/projects/{project.id}/data?tab={tab['id']}")
    expect(page.get_by_text(TAB_TITLE).first).to_be_visible()
    for number in flipped:
        expect(page.get_by_text(rows[number]["data"]["text"], exact=True)).to_be_visible()
    expect(page.get_by_text(", story ")).to_have_count(len(flipped))
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / "recheck_tab.png")
    assert errors == []
    same = next(view for view in project.client.tabs(project.id) if view["id"] == tab["id"])
    assert same["data"]["filters"] == tab["data"]["filters"], "the page leaves the filter as it is"
