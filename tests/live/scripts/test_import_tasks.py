"""import_tasks against a real Label Studio."""

import json

import pytest
from PIL import Image
from support.scripts import headlines, labels_of, tasks_of, write

from ml_backend.cli import import_tasks
from ml_backend.cli.import_plan import make_plan
from ml_backend.errors import LabelStudioUnreachable
from ml_backend.importing.image_files import idx_bytes, png_data_uri, read_idx
from ml_backend.importing.new_tasks import import_row, send
from ml_backend.label_studio.client import LabelStudioClient


def test_an_import_can_be_run_again_and_brings_only_what_is_missing(run, make_project, tmp_path):
    project = make_project()
    rows = [(f"headline {number}", "related" if number % 2 else "not related") for number in range(6)]
    path = headlines(tmp_path / "h.csv", rows[:4])
    first = run(import_tasks, path, "--project", project.id)
    assert "Imported 4 tasks (4 with a label, 0 for evaluation); skipped 0" in first.stdout
    assert "Read with headlines (minilm_multilingual): 4 words are too few to tell their language" in first.stdout
    second = run(import_tasks, headlines(path, [*rows, rows[0]]), "--project", project.id)
    assert "Imported 2 tasks" in second.stdout
    assert "skipped 4 that were there and 1 doubles" in second.stdout
    assert "4 tasks are in the project already; their answers in the file are not added" in second.output
    assert "Imported 0 tasks" in run(import_tasks, path, "--project", project.id).stdout

    tasks = tasks_of(project)
    assert [row["data"]["text"] for row in tasks] == [text for text, _ in rows]
    assert labels_of(project) == [label for _, label in rows]
    assert all("label" not in row["data"] for row in tasks)
    assert len({row["data"]["import_key"] for row in tasks}) == 6


def test_tasks_that_came_another_way_are_not_doubled(run, make_project, tmp_path):
    project = make_project(tasks=[{"text": "known"}])
    run(import_tasks, write(tmp_path / "h.csv", "text\nknown\nnew\n"), "--project", project.id)
    assert [row["data"]["text"] for row in tasks_of(project)] == ["known", "new"]


class GoesAway(LabelStudioClient):
    """Takes one batch."""

    taken = 0

    def import_tasks(self, project_id, tasks):
        if self.taken:
            raise LabelStudioUnreachable("The server went away.")
        self.taken += len(tasks)
        return super().import_tasks(project_id, tasks)


def test_an_interrupted_import_says_how_to_go_on_and_can(run, label_studio, make_project, tmp_path):
    project = make_project()
    path = write(tmp_path / "h.csv", "text\n" + "".join(f"headline {number}\n" for number in range(5)))
    plan = make_plan(path, project.question)
    rows = [import_row(task, project.question, set()) for task in plan.tasks]
    client = GoesAway(label_studio.url, label_studio.token)
    with pytest.raises(LabelStudioUnreachable) as caught:
        send(client, project.id, rows, batch=2)
    client.close()
    assert "The server went away. 2 of 5 tasks are in; run the same command again" in str(caught.value)
    assert client.taken == 2
    assert "Imported 3 tasks" in run(import_tasks, path, "--project", project.id).stdout
    assert [row["data"]["text"] for row in tasks_of(project)] == [f"headline {number}" for number in range(5)]


@pytest.mark.parametrize(("evaluation", "size"), [("0.3", 3), ("4", 4)])
def test_the_held_out_tasks_are_drawn_by_the_seed(run, make_project, tmp_path, evaluation, size):
    rows = [(f"headline {number}", "related") for number in range(10)]
    held_out = []
    for seed, order in ((1, rows), (1, rows[::-1]), (2, rows)):
        project = make_project()
        path = headlines(tmp_path / "h.csv", order)
        run(import_tasks, path, "--project", project.id, "--evaluation", evaluation, "--seed", seed)
        tasks = tasks_of(project)
        held_out.append({row["data"]["text"] for row in tasks if row["data"].get("split") == "evaluation"})
        assert all(len(row["annotations"]) == 1 for row in tasks)
    assert [len(texts) for texts in held_out] == [size] * 3
    assert held_out[0] == held_out[1] != held_out[2]


def test_hidden_labels_stay_with_the_evaluation_tasks(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"headline {number}", "related") for number in range(10)])
    result = run(import_tasks, path, "--project", project.id, "--hide-labels", "--evaluation", 4)
    assert "Imported 10 tasks (4 with a label, 4 for evaluation)" in result.stdout
    for row in tasks_of(project):
        assert bool(row["annotations"]) == (row["data"].get("split") == "evaluation")
    assert all(row["annotations"][0]["ground_truth"] for row in project.client.export(project.id))


def test_evaluation_tasks_are_drawn_from_the_labelled_ones(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"h {n}", "related" if n < 4 else "") for n in range(40)])
    run(import_tasks, path, "--project", project.id, "--evaluation", "0.5")
    held_out = [row for row in tasks_of(project) if row["data"].get("split")]
    assert len(held_out) == 2
    assert all(row["annotations"] for row in held_out)


@pytest.mark.parametrize("wanted", ["0", "10", "1.0", "-1", "a lot", "nan", "inf"])
def test_an_evaluation_part_must_be_a_part(run, make_project, tmp_path, wanted):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"headline {number}", "related") for number in range(10)])
    assert (
        f"--evaluation {wanted}"
        in run(import_tasks, path, "--project", project.id, f"--evaluation={wanted}", code=1).stderr
    )
    assert tasks_of(project) == []


BAD_ROWS = 'text,label\n"a\nb",related\nc,relatd\n\nd,\n,related\ne,not related\nf,Related\n'


def test_unknown_labels_are_told_with_their_lines_and_left_out(run, make_project, tmp_path):
    project = make_project()
    path = write(tmp_path / "h.csv", BAD_ROWS)
    result = run(import_tasks, path, "--project", project.id)
    assert f'{path}, line 4: label "relatd" is not in the labeling config; left out' in result.stderr
    assert f'{path}, line 9: label "Related"' in result.stderr
    assert "line 7" in result.stderr  # the empty text
    assert "Imported 3 tasks (2 with a label" in result.stdout
    assert "left out 3 bad items" in result.stdout
    assert [row["data"]["text"] for row in tasks_of(project)] == ["a\nb", "d", "e"]


def test_strict_imports_nothing_where_a_label_is_unknown(run, make_project, tmp_path):
    project = make_project()
    path = write(tmp_path / "h.csv", BAD_ROWS)
    assert "nothing was imported" in run(import_tasks, path, "--project", project.id, "--strict", code=1).stderr
    assert tasks_of(project) == []


def test_hidden_labels_need_not_be_known(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [("a", "relatd"), ("b", "related")])
    assert (
        "Imported 2 tasks (0 with a label" in run(import_tasks, path, "--project", project.id, "--hide-labels").stdout
    )


def test_nothing_to_import_is_an_error(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [("a", "b"), ("c", "d")])
    result = run(import_tasks, path, "--project", project.id, code=1)
    assert f"Nothing in {path} could be imported" in result.stderr


def test_many_problems_are_told_in_short(run, make_project, tmp_path):
    project = make_project()
    path = headlines(tmp_path / "h.csv", [(f"h {n}", "?") for n in range(30)] + [("good", "related")])
    result = run(import_tasks, path, "--project", project.id)
    assert "... and 10 more" in result.stderr
    assert result.stderr.count("left out") == 20


def test_json_lines_with_other_names(run, make_project, tmp_path):
    project = make_project()
    rows = [{"title": "a", "kind": "related", "id": 7}, {"title": "b", "kind": "?"}, {"title": "c"}]
    path = write(tmp_path / "h.jsonl", "\n".join(json.dumps(row) for row in rows))
    result = run(import_tasks, path, "--project", project.id, "--text-column", "title", "--label-column", "kind")
    assert f"{path}, line 2: label" in result.stderr
    data = [row["data"] for row in tasks_of(project)]
    assert [(row["text"], row.get("id")) for row in data] == [("a", 7), ("c", None)]


def test_label_studio_json_brings_its_annotations(run, make_project, tmp_path):
    project = make_project()
    task = {"data": {"text": "a"}, "annotations": [{"result": project.answer("related")}]}
    run(import_tasks, write(tmp_path / "h.json", json.dumps([task])), "--project", project.id)
    assert labels_of(project) == ["related"]


def test_idx_images_come_with_their_labels_and_survive_the_way(run, make_project, shared_data, tmp_path):
    source = shared_data / "mnist"
    images = read_idx(source / "t10k-images-idx3-ubyte.gz")[:12]
    labels = read_idx(source / "t10k-labels-idx1-ubyte.gz")[:12]
    path, answers = tmp_path / "some-images-idx3-ubyte.gz", tmp_path / "answers.gz"
    path.write_bytes(idx_bytes(images))
    answers.write_bytes(idx_bytes(labels))
    project = make_project("mnist")
    run(import_tasks, path, "--project", project.id, "--labels", answers)
    assert [row["data"]["image"] for row in tasks_of(project)] == [png_data_uri(image) for image in images]
    assert labels_of(project) == [str(label) for label in labels]


def test_an_image_folder_gives_labels_by_its_folders(run, make_project, tmp_path, shared_data):
    images = read_idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:3]
    for image, label in zip(images, "701", strict=True):
        (tmp_path / label).mkdir()
        Image.fromarray(image).save(tmp_path / label / "a.png")
    project = make_project("mnist")
    run(import_tasks, tmp_path, "--project", project.id)
    assert sorted(labels_of(project)) == ["0", "1", "7"]
