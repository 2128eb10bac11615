"""An exported version works by itself: its example answers in a process of its own."""

import subprocess
import sys

import numpy as np
from PIL import Image
from support.pictures import saved
from support.stores import manifest

from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import export_version, load_exported, size


def test_an_exported_image_model_classifies_a_file(tmp_path):
    store = ProjectStore(tmp_path / "versions", "7.1700000000")
    images = [np.full((28, 28), value, np.uint8) for value in (0, 255)] * 4
    model = MnistCnn(("dark", "bright"))
    items = [model.read_item(saved(Image.fromarray(image))) for image in images]
    model.fit(items, np.array([0, 1] * 4), seed=0, hyperparameters={"steps": 20})
    weights, config = model.state()
    changes = {"model": model.name, "object_tag": "Image", "labels": model.labels, "config": config}
    version = manifest().model_copy(update=changes)
    store.write_version(version, weights)
    assert size(store, version.name) > 1000
    out = export_version(store, version.name, tmp_path / "out")
    (out / "image.png").write_bytes(saved(Image.fromarray(images[0])))
    run = [sys.executable, out / "example.py", out / "image.png"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    # All at once: of one alone the network's last digits may be others, and what it saw is kept.
    expected = model.probabilities(items)
    winner = model.labels[int(expected[0, 0].argmax())]
    assert done.stdout.splitlines()[0] == f"{expected[0, 0].max():.4f}  {winner}"
    assert np.array_equal(load_exported(out).probabilities(items), expected)
    (out / "other.png").write_bytes(saved(Image.fromarray(images[1])))
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
