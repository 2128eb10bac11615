"""The demo's third project: where photographs are, and what its tasks say."""

from demo import demo_projects
from demo_data import photo_project
from served_pictures import bring_photographs, local_files
from support.groceries import few_groceries

from ml_backend.importing.reading import content_key


def test_photographs_are_brought_once_and_stay(tmp_path):
    source, data = few_groceries(tmp_path / "source"), tmp_path / "data"
    bring_photographs(source, data)
    copies = {path.relative_to(data): path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    assert len(copies) == 5
    (source / "groceries" / "Pear" / "train 0.jpg").write_bytes(b"changed, and of another size")
    bring_photographs(source, data)
    now = {path.relative_to(data): path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    assert [str(path) for path in now if now[path] != copies[path]] == ["groceries/Pear/train 0.jpg"]
    bring_photographs(data, data)
    assert (data / "groceries" / "Pear" / "train 0.jpg").read_bytes().startswith(b"changed")


def test_a_folder_without_them_brings_none(tmp_path):
    (tmp_path / "source").mkdir()
    bring_photographs(tmp_path / "source", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_is_set_apart_is_held_out_and_nothing_else_is_labelled(tmp_path):
    project = photo_project(few_groceries(tmp_path))
    assert project.counts == {"held out": 2, "labelled": 0, "open": 2}
    by_url = {row["data"]["image"]: row for row in project.rows}
    held_out = by_url["/data/local-files/?d=groceries/Apple/test%202.jpg"]
    assert held_out["data"]["split"] == "evaluation"
    assert held_out["annotations"][0]["result"][0]["value"] == {"choices": ["Apple"]}
    still_open = by_url["/data/local-files/?d=groceries/Pear/train%200.jpg"]
    assert "annotations" not in still_open
    assert still_open["data"]["import_key"] == content_key("/data/local-files/?d=groceries/Pear/train%200.jpg")
    assert project.pictures == tmp_path / "groceries"
    assert local_files(tmp_path)["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] == str(project.pictures.parent)


def test_two_projects_stay_the_default(tmp_path, shared_data):
    for name in ("mnist", "headlines"):
        (tmp_path / name).symlink_to(shared_data / name)

    def made() -> list[str]:
        projects = demo_projects(tmp_path, initial=10, digits=100, pool=10)
        return [project.title.split()[0] for project in projects]

    assert made() == ["MNIST", "Disaster"]
    few_groceries(tmp_path)
    assert made() == ["MNIST", "Disaster", "Grocery"]
