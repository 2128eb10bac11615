"""One label for many tasks at once, on a real Label Studio: under whose name, once, taken back, and told apart."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from ml_backend.cli import label, search
from ml_backend.errors import ConfigurationError, LabelStudioError
from ml_backend.exporting.export import read_export
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.records import CONTROL, Prediction, Queue
from ml_backend.rounds.bulk_portions import PORTION, label_portion, undo_portion
from ml_backend.rounds.tally import tally
from ml_backend.store import bulk_actions
from ml_backend.store.project_store import Current, ProjectStore

NOW = "2026-03-01T09:00:00+00:00"
LABEL = "related"


class Case:
    """A project with a task of each kind, its store, and a person with an account of her own."""

    def __init__(self, make_project, label_studio, folder, tasks=14):
        data = [{"text": f"story {number}"} for number in range(tasks)] + [{"text": "held out", "split": "evaluation"}]
        self.project = make_project("headlines", data)
        *self.ids, self.held_out = self.project.task_ids
        self.answered, self.skipped, self.control, *self.free = self.ids
        self.person = label_studio.create_user()
        self.project.client.annotate(self.answered, self.project.answer("not related"))
        self.project.client.annotate(self.skipped, [], cancelled=True)
        self.store = ProjectStore(folder, self.project.project.uid)
        self.store.note_question(self.project.question)
        picks = (Prediction(self.control, LABEL, 0.7, 0.1, CONTROL), Prediction(self.free[0], LABEL, 0.7, 0.2, "auto"))
        self.store.write_queue(Queue("m-0001-aaaaaaaa.auto-0001", "m-0001-aaaaaaaa", "auto", 1, 0, picks))
        self.store.set_current(Current("m-0001-aaaaaaaa", "m-0001-aaaaaaaa.auto-0001"))

    def portion(self, action, tasks=None, label=LABEL):
        asked = [*self.ids, self.held_out, 987654321] if tasks is None else tasks
        return label_portion(self.person.client, self.store, self.project.id, action, label, asked, now=NOW)

    def label(self, action, tasks=None):
        while (done := self.portion(action, tasks)).state == "unfinished":
            pass
        return done

    def undo(self, action):
        while (done := undo_portion(self.person.client, self.store, self.project.id, action)).state == "undoing":
            pass
        return done

    def annotations(self):
        return {row["id"]: row["annotations"] for row in self.project.client.tasks_of(self.project.id, self.ids)}

    def counted(self):
        TaskCache(self.store.task_cache_path).refresh(self.project.client, self.project.id)
        return tally(self.store)


@pytest.fixture
def case(make_project, label_studio, tmp_path):
    return Case(make_project, label_studio, tmp_path)


def test_a_label_for_many_is_written_once_under_the_persons_name_and_taken_back(case):
    before, action = case.counted(), uuid.uuid4().hex
    done = case.label(action)
    assert sorted(done.written) == case.free
    assert done.left == {
        case.answered: "answered",
        case.skipped: "skipped",
        case.control: "control",
        case.held_out: "evaluation",
        987654321: "gone",
    }
    assert (done.email, done.state) == (case.person.email, "done")
    given = case.annotations()
    assert [[each["completed_by"] for each in given[task]] for task in case.free] == [[case.person.id]] * len(case.free)
    assert case.label(action) == done, "pressed again: nothing more"
    assert {task: len(each) for task, each in case.annotations().items()} == {task: len(given[task]) for task in given}

    now = case.counted()
    assert (now.bulk, now.control, now.labels) == (len(case.free), 0, before.labels + len(case.free))
    assert now.live == before.live, "no queue asked: no measure of its guesses"
    rows = {row["annotation_id"]: row for row in read_export(case.project.client, case.project.id, case.store).rows}
    assert {rows[annotation]["share"] for annotation in done.written.values()} == {"bulk"}
    assert {rows[annotation]["split"] for annotation in done.written.values()} == {"train"}
    assert all(row["share"] != "bulk" for key, row in rows.items() if key not in done.written.values())

    changed = case.free[-1]
    case.project.client.request(
        "PATCH", f"api/annotations/{done.written[changed]}/", body={"result": case.project.answer("not related")}
    )
    case.project.client.delete_annotation(done.written[case.free[0]])
    undone = case.undo(action)
    assert sorted(undone.taken_back) == case.free[1:-1]
    assert undone.kept == {case.free[0]: "gone", changed: "changed"}
    assert {task for task, each in case.annotations().items() if each} == {case.answered, case.skipped, changed}
    assert case.counted().bulk == 0
    with pytest.raises(ConfigurationError, match="was undone"):
        case.label(action)
    assert sorted(case.label(uuid.uuid4().hex).written) == case.free[:-1]


def test_what_was_broken_off_goes_on_and_two_at_once_write_once(case):
    action = uuid.uuid4().hex
    first = case.portion(action, case.free)
    assert (first.state, len(first.written)) == ("unfinished", PORTION)
    # Killed after Label Studio had the answers, before anything was noted.
    bulk_actions.change(case.store, action, lambda known: replace(known, place=0, written={}))
    with ThreadPoolExecutor(3) as people:
        same = [people.submit(case.label, action, case.free) for _ in range(2)]
        other = people.submit(case.label, uuid.uuid4().hex, case.free)
        found, rival = [each.result() for each in same], other.result()
    assert [each.state for each in found] == ["done", "done"]
    final = bulk_actions.read(case.store)[action]
    assert sorted({*final.written, *rival.written}) == case.free
    assert [len(case.annotations()[task]) for task in case.free] == [1] * len(case.free)
    bulk_actions.change(case.store, action, lambda known: replace(known, place=0, written={}, left={}))
    assert sorted(case.undo(action).taken_back) == sorted(set(final.written) & set(case.free[:PORTION]))


def test_in_a_shell_what_is_found_is_labelled_and_taken_back(case, tmp_path, monkeypatch):
    case.counted()
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("LABEL_STUDIO_URL", case.person.client.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", case.person.token)
    project = ["--project", str(case.project.id)]

    def lsal(command, *arguments, **more):
        result = CliRunner().invoke(command.app, [*project, *arguments], **more)
        assert result.exit_code == 0, result.output
        return result.output

    ids = lsal(search, "--words", "story", "--state", "open", "--ids").strip()
    assert list(map(int, ids.split(","))) == case.free[1:], "the first is queued"
    assert "story" in lsal(search, "--words", '"story 5"')
    asked = ["--as", LABEL, "--tasks", f"{ids},{case.answered}"]
    assert "1 somebody answered before" in lsal(label, *asked, input="n\n")
    assert case.counted().bulk == 0
    told = lsal(label, *asked, "--yes")
    assert f"{len(case.free) - 1} of {len(case.free) - 1} tasks labelled “{LABEL}” by {case.person.email}." in told
    (action,) = bulk_actions.read(case.store)
    assert action in told
    assert f"{len(case.free) - 1} answers taken back" in lsal(label, "--undo", action)
    refused = CliRunner().invoke(label.app, [*project, "--as", LABEL])
    assert refused.exit_code == 1
    assert "Give --as and --tasks" in refused.output


def test_what_cannot_be_done_is_refused_before_anything_is_written(case, label_studio):
    for action, tasks, name, problem in (
        ("not hexadecimal", case.free, LABEL, "32 hexadecimal"),
        (uuid.uuid4().hex, [], LABEL, "1 to 2,000 tasks"),
        (uuid.uuid4().hex, list(range(1, 2002)), LABEL, "2,001"),
        (uuid.uuid4().hex, case.free, "no such", "is no label"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            case.portion(action, tasks, name)
    stranger = label_studio.new_client("0" * 40)
    with pytest.raises(LabelStudioError):
        label_portion(stranger, case.store, case.project.id, uuid.uuid4().hex, LABEL, case.free, now=NOW)
    assert bulk_actions.read(case.store) == {}
    action = uuid.uuid4().hex
    case.portion(action, case.free)
    with pytest.raises(ConfigurationError, match="other tasks, label or account"):
        case.portion(action, case.free[1:])
    with pytest.raises(ConfigurationError, match="Nothing is known"):
        case.undo(uuid.uuid4().hex)
