"""Which version is chosen, and what an exported one needs; without Label Studio."""

import base64
import subprocess
import sys

import numpy as np
import pytest
from support.stores import WEIGHTS, manifest

from ml_backend.errors import StoreError
from ml_backend.label_studio.image_files import png_data_uri
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.versions import best_version, export_version, find_version, load_exported, size, version_before


def png_bytes(image):
    return base64.b64decode(png_data_uri(image).partition(",")[2])


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path, "7.1700000000")


def write(store, number, **changes):
    version = manifest(number).model_copy(update=changes)
    store.write_version(version, WEIGHTS)
    return version


def test_a_version_by_name_or_number(store):
    name = write(store, 7).name
    assert find_version(store, name) == find_version(store, "7") == name
    for wrong in ("8", "m", "0123abcd"):
        with pytest.raises(StoreError, match=f"No version '{wrong}' .*versions there: {name}"):
            find_version(store, wrong)


def test_the_version_before_is_the_parent_else_the_newest_older_promoted_one(store):
    with pytest.raises(StoreError, match="No model is in use yet"):
        version_before(store)
    first, _, third = write(store, 1), write(store, 2, labels=("a", "c")), write(store, 3)
    write(store, 4, promoted=False)
    fifth, sixth = write(store, 5, parent="gone"), write(store, 6, parent=first.name)
    store.set_current(Current(fifth.name, "q"))
    assert version_before(store) == third.name
    store.set_current(Current(sixth.name, "q"))
    assert version_before(store) == first.name
    store.set_current(Current(first.name, "q"))
    with pytest.raises(StoreError, match="No version before m-0001"):
        version_before(store)


def test_the_best_version_is_measured_and_answers_the_newest_question(store):
    versions = [
        manifest(1).model_copy(update={"labels": ("a", "c"), "metrics": {"f_macro": 0.99, "auc": None}}),
        manifest(2).model_copy(update={"metrics": {"f_macro": 0.8, "auc": None}}),
        manifest(3).model_copy(update={"metrics": {"f_macro": 0.8, "auc": 0.5}}),
        manifest(4),
    ]
    assert best_version(versions, "f_macro") == versions[2].name  # of equals the newest
    assert best_version(versions[:3], "auc") == versions[2].name
    for none in ([], versions[3:]):
        with pytest.raises(StoreError, match="No version has a held-out f_macro"):
            best_version(none, "f_macro")


def test_an_exported_image_model_classifies_a_file(store, tmp_path):
    images = [np.full((28, 28), value, np.uint8) for value in (0, 255)] * 4
    model = MnistCnn(("dark", "bright"))
    items = [model.read_item(png_bytes(image)) for image in images]
    model.fit(items, np.array([0, 1] * 4), seed=0, hyperparameters={"steps": 20})
    weights, config = model.state()
    changes = {"model": model.name, "object_tag": "Image", "labels": model.labels, "config": config}
    version = manifest().model_copy(update=changes)
    store.write_version(version, weights)
    assert size(store, version.name) > 1000
    out = export_version(store, version.name, tmp_path / "out")
    (out / "image.png").write_bytes(png_bytes(images[0]))
    run = [sys.executable, out / "example.py", out / "image.png"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    expected = model.probabilities(items[:1])[0, 0]
    winner = model.labels[int(expected.argmax())]
    assert done.stdout.splitlines()[0] == f"{expected.max():.4f}  {winner}"
    assert np.array_equal(load_exported(out).probabilities(items), model.probabilities(items))
    (out / "other.png").write_bytes(png_bytes(images[1]))
    (out / "list.txt").write_text(f"{out / 'image.png'}\n\n{out / 'other.png'}\n", encoding="utf-8")
    listed = subprocess.run(
        [*run[:2], "--file", out / "list.txt"], capture_output=True, text=True, timeout=120, check=True
    )
    winners = [model.labels[int(row.argmax())] for row in model.probabilities(items[:2])[:, 0]]
    assert [line.split("  ", 1)[1] for line in listed.stdout.splitlines()] == [
        f"{winners[0]}  {out / 'image.png'}",
        f"{winners[1]}  {out / 'other.png'}",
    ]
    for wrong, told in (
        ([], "usage: python example.py IMAGE_FILE ..."),
        (["--file"], "usage: python example.py IMAGE_FILE ..."),
        ([out / "no.png"], "No such file"),
        ([out / "model.json"], "example.py: "),
    ):
        done = subprocess.run([*run[:2], *wrong], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(StoreError, match="holds no exported model"):
        load_exported(tmp_path)
