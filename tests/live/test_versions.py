"""Versions against a real Label Studio: rolled back, pinned, held back, and promoted again."""

import json
import subprocess
import sys

import pytest
from support.rounds import Live, has_warning, queued
from typer.testing import CliRunner

from ml_backend.cli import versions as script
from ml_backend.config import ProjectSettings
from ml_backend.errors import LabelStudioUnreachable, StoreError
from ml_backend.rounds.run import Workspace
from ml_backend.store.project_store import Current

WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related")
EVALUATION, LABELLED, TASKS = 24, 12, 44
SETTINGS = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=5, samples=4, hyperparameters={"steps": 60}
)


def truth(number):
    return LABELS[number % 2]


@pytest.fixture
def live(make_project, tmp_path):
    """A project with 24 labelled evaluation tasks, 12 labelled tasks and 8 open ones, not yet trained."""
    rows = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(TASKS)]
    project = make_project(
        "headlines",
        [row | {"split": "evaluation"} for row in rows[:EVALUATION]] + rows[EVALUATION:],
        labels=[truth(number) for number in range(EVALUATION + LABELLED)],
    )
    live = Live(project, Workspace(project.client, tmp_path, SETTINGS))
    live.annotations = project.annotations()
    return live


def relabel(live, numbers, label_of):
    for number in numbers:
        body = {"result": live.project.answer(label_of(number))}
        live.client.request("PATCH", f"api/annotations/{live.annotations[number]}", body=body)


def label_more(live, number):
    live.annotations.append(live.client.annotate(live.ids[number], live.project.answer(truth(number))))


@pytest.fixture
def versions(live, label_studio, monkeypatch):
    """Run scripts/versions.py for the project, in this process; where not ``online``, without Label Studio."""

    def run(command, *arguments, code=0, online=False):
        with monkeypatch.context() as patch:
            patch.setenv("LABEL_STUDIO_URL", label_studio.url if online else "http://127.0.0.1:1")
            patch.setenv("LABEL_STUDIO_API_KEY", label_studio.token if online else "")
            patch.setenv("MODEL_DIR", str(live.workspace.root))
            patch.setenv("QUEUE_SIZE", str(SETTINGS.queue_size))
            given = [command, "--project", str(live.project.id), *map(str, arguments)]
            result = CliRunner().invoke(script.app, given)
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    return run


@pytest.fixture
def twice(live):
    """The same, trained twice: on 12 labels and on 13."""
    first = live.round()
    label_more(live, EVALUATION + LABELLED)
    return live, first, live.round()


def served(live):
    """What annotators get: version of the queue, and the first task of it."""
    task = live.client.next_task(live.project.id)
    assert [p["model_version"] for p in task["predictions"]] == [live.now.model_version]
    return live.now.model_version.split(".")[0], task["id"]


def test_a_manifest_tells_what_made_it(twice):
    live, first, second = twice
    manifest = live.store.manifest(second.version)
    assert (manifest.parent, live.store.manifest(first.version).parent) == (first.version, None)
    assert manifest.evaluation_count == EVALUATION
    assert manifest.settings["hyperparameters"] == {"steps": 60}
    assert set(manifest.libraries) == {"label-studio-active-learning", "torch", "numpy"}
    assert manifest.promoted
    assert manifest.comparison["against"] == first.version


def test_rolling_back_serves_the_old_model_and_an_order_of_its_own(twice, versions, tmp_path):
    live, first, second = twice
    assert live.now.model_version == second.queue.name  # the next task is not asked for: it would be locked
    shown = versions("rollback", online=True)
    assert live.store.versions() == [first.version, second.version], "nothing is trained for it"
    current = live.store.current()
    assert current == Current(first.version, f"{first.version}.auto-0003", first.version)
    assert f"now serves {current.queue}" in shown
    assert "pinned until lsal versions unpin" in shown
    queue = live.store.queue(current.queue)
    assert live.versions[current.queue] == 5
    assert served(live) == (first.version, queue.predictions[0].task_id)
    assert live.ids[EVALUATION + LABELLED] not in [p.task_id for p in queue.predictions]  # labelled meanwhile
    assert f"{second.version} is newer" in versions("export", "--out", tmp_path / "older")


def test_no_round_undoes_a_rollback_until_it_is_unpinned(twice, versions):
    live, first, second = twice
    live.round(train=False, pin=first.version)
    again = live.round()
    has_warning(again, f"{first.version} is pinned and goes on being served, not {second.version}", "unpin")
    assert (again.version, again.trained) == (first.version, False)
    label_more(live, EVALUATION + LABELLED + 1)
    third = live.round()
    assert (third.version, third.trained, len(live.store.versions())) == (first.version, True, 3)
    assert live.now.model_version == third.queue.name
    assert live.round(train=False).version == first.version
    assert "no longer pinned" in versions("unpin")
    after = live.round()
    assert after.version == live.store.versions()[-1]
    assert (after.trained, after.warnings) == (False, [])
    assert served(live) == (after.version, queued(after)[0])
    assert "None was pinned" in versions("unpin")


def test_a_rollback_that_fails_pins_nothing(twice, monkeypatch):
    live, first, _ = twice
    before = live.store.current()

    def gone(project_id, rows):
        raise LabelStudioUnreachable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(live.client, "import_predictions", gone)
        with pytest.raises(LabelStudioUnreachable):
            live.round(train=False, pin=first.version)
    assert (live.store.current(), live.now.model_version) == (before, before.queue)


def test_a_version_of_other_choices_cannot_be_rolled_back_to(twice):
    live, first, _ = twice
    xml = live.now.label_config.replace(
        '<Choice value="not related"', '<Choice value="unclear"/><Choice value="not related"'
    )
    live.round(train=False, pin=first.version)
    live.client.request("PATCH", f"api/projects/{live.project.id}", body={"label_config": xml})
    with pytest.raises(StoreError, match="answers another question than is asked now"):
        live.round(train=False, pin=first.version)
    report = live.round()
    has_warning(report, f"{first.version} is pinned but gone, or answers another question")
    assert report.version not in (None, first.version)


def test_a_rollback_with_nothing_left_to_order(twice):
    live, first, second = twice
    for number in range(EVALUATION + LABELLED + 1, TASKS):
        label_more(live, number)
    report = live.round(train=False, pin=first.version)
    has_warning(report, "No open tasks", "the order is unchanged")
    assert live.store.current() == Current(second.version, second.queue.name, first.version)


# --- promotion ---------------------------------------------------------------------------------------------------


@pytest.fixture
def worse(live):
    """A good version in use, and one trained after most labels had been turned round."""
    first = live.round()
    relabel(live, range(EVALUATION, EVALUATION + LABELLED), lambda number: truth(number + 1))
    return live, first, live.round()


def test_a_clearly_worse_version_is_kept_but_not_promoted(worse):
    live, first, second = worse
    assert (second.trained, second.version, second.queue.version) == (True, first.version, first.version)
    has_warning(second, f"{second.held_back} is kept but not served", f"of {first.version} on the same 24")
    assert live.store.versions() == [first.version, second.held_back]
    manifest = live.store.manifest(second.held_back)
    assert (manifest.promoted, manifest.comparison["against"]) == (False, first.version)
    assert manifest.metrics["accuracy"] < 0.5 < second.metrics["accuracy"]  # the report is about the served one
    assert served(live) == (first.version, queued(second)[0])


def test_it_is_not_trained_again_and_not_promoted_until_labels_change(worse):
    live, first, second = worse
    for train in (True, False):
        again = live.round(train=train)
        assert (again.trained, again.version) == (False, first.version)
    has_warning(live.round(), f"{second.held_back} is kept but not served")
    relabel(live, range(EVALUATION, EVALUATION + LABELLED), truth)
    label_more(live, EVALUATION + LABELLED)
    third = live.round()
    assert (third.trained, third.held_back) == (True, None)
    assert live.store.manifest(third.version).promoted
    assert third.version == live.store.versions()[-1]
    assert served(live)[0] == third.version


def test_other_evaluation_labels_judge_it_anew(worse):
    live, _, second = worse
    relabel(live, range(EVALUATION), lambda number: truth(number + 1))
    third = live.round()
    assert (third.trained, third.version, third.held_back) == (False, second.held_back, None)
    manifest = live.store.manifest(third.version)
    assert manifest.promoted
    assert manifest.metrics["accuracy"] > 0.5


def test_without_the_gate_every_version_is_served(worse):
    live, _, second = worse
    live.store.set_extra_params({"promote_margin": None})
    third = live.round()
    assert (third.version, third.held_back, third.trained) == (second.held_back, None, False)


def test_a_damaged_version_in_use_does_not_keep_a_new_one_back(live):
    first = live.round()
    live.workspace.library._models.clear()
    (live.store.version_folder(first.version) / "weights.safetensors").write_bytes(b"")
    label_more(live, EVALUATION + LABELLED)
    second = live.round()
    has_warning(second, "compared with nothing", "weights.safetensors")
    assert (second.trained, second.version != first.version) == (True, True)


# --- the command line, without Label Studio ----------------------------------------------------------------------


def test_list_and_show_tell_what_is_stored(twice, versions):
    _, first, second = twice
    rows = json.loads(versions("list", "--json"))
    assert [(row["version"], row["labels"], row["promoted"], row["use"]) for row in rows] == [
        (first.version, 12, True, ""),
        (second.version, 13, True, "current"),
    ]
    table = versions("list")
    assert all(word in table for word in (first.version, second.version, "current", "accuracy", "promoted"))
    assert json.loads(versions("show", "2", "--json"))["parent"] == first.version
    assert first.version in versions("show", second.version)
    assert "versions there" in versions("show", "7", code=1)


def test_a_damaged_version_hides_no_other(twice, versions):
    live, first, second = twice
    (live.store.version_folder(first.version) / "model.json").write_text("{")
    shown = versions("list")
    assert "damaged" in shown
    assert second.version in shown
    assert "Deleted" in versions("delete", "1")
    assert live.store.versions() == [second.version]


def test_the_current_version_is_not_deleted(twice, versions):
    _, first, second = twice
    assert "is in use" in versions("delete", second.version, code=1)
    assert "Deleted" in versions("delete", first.version)
    assert "No version before" in versions("rollback", code=1, online=True)


def test_an_exported_version_runs_alone(twice, versions, tmp_path):
    *_, second = twice
    out = tmp_path / "taken" / "away"
    assert second.version in versions("export", "--best", "--out", out)
    assert sorted(path.name for path in out.iterdir()) == ["example.py", "model.json", "weights.safetensors"]
    assert "is not empty" in versions("export", "--out", out, code=1)
    assert "is newer" not in versions("export", "--out", tmp_path / "used")
    assert "not both" in versions("export", "1", "--best", "--out", tmp_path / "x", code=2)
    done = subprocess.run(
        [sys.executable, "example.py", "flood in the river again"],
        cwd=out,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == ["related", "not related"]


def test_a_project_without_a_store(versions):
    assert "Nothing of project" in versions("list", code=1)
