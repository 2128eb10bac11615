"""The files of docs/howto/other-models.md, as they stand there, each on a tiny stand-in."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest
from support.extend_page import files
from support.places import REPOSITORY
from support.plugins import write_dist_info

from ml_backend.errors import ModelError
from ml_backend.regions.overlap import box_of
from ml_backend.regions.reading import read_regions

TRANSFORMERS = '''
"""In place of Hugging Face's: as its pipelines answer, by the words of the text."""

def pipeline(task, model, top_k, truncation):
    assert (task, top_k, truncation) == ("text-classification", None, True)
    def classify(texts):
        scores = [0.9 if "flood" in text else 0.1 for text in texts]
        found = [[{"label": "toxic", "score": s}, {"label": "fine", "score": 1 - s}] for s in scores]
        return [sorted(one, key=lambda each: -each["score"]) for one in found]
    return classify
'''
TEXTS = {"related": "flood in the river", "not related": "football match tonight"}


def module(path: str) -> Any:
    """A file of the page as a module."""
    made = ModuleType(path.removesuffix(".py").replace("/", "."))
    exec(compile(files("other-models.md")[path], path, "exec"), made.__dict__)
    return made


@pytest.fixture(scope="module")
def tfidf() -> Any:
    """The class."""
    return module("my_models/tfidf.py").TfidfLogistic


def examples() -> tuple[list[str], np.ndarray]:
    texts = [f"{TEXTS[label]}, story {number}" for number in range(8) for label in TEXTS]
    return texts, np.array([0, 1] * 8)


def test_a_pipeline_learns_is_stored_without_a_pickle_and_gives_the_same_again(tfidf: Any) -> None:
    texts, targets = examples()
    model = tfidf(("related", "not related", "never seen"))
    report = model.fit(texts, targets, seed=3, hyperparameters={"c": 5})
    assert report.hyperparameters == {"c": 5.0, "seed": 3}
    p = model.probabilities(texts, samples=2)
    assert p.shape == (16, 2, 3)
    np.testing.assert_allclose(p.sum(axis=2), 1, atol=1e-5)
    assert (p[:, 0].argmax(axis=1) == targets).all()
    assert p[..., 2].max() < 1e-4
    model.sharpen(0.5)
    weights, config = model.state()
    again = tfidf.from_state(model.labels, weights, json.loads(json.dumps(config)))
    np.testing.assert_array_equal(again.probabilities(texts), model.probabilities(texts))
    np.testing.assert_array_equal(again.embed(texts), model.embed(texts))
    assert model.probabilities([]).shape == (0, 1, 3)
    with pytest.raises(ModelError, match="does not fit 2 labels"):
        tfidf.from_state(("a", "b"), weights, config)
    with pytest.raises(ModelError, match="neither trained nor loaded"):
        tfidf(("a", "b")).probabilities(texts)


def test_a_pipeline_learns_from_shares_as_from_classes(tfidf: Any) -> None:
    texts, targets = examples()
    by_class, by_share = tfidf(("a", "b")), tfidf(("a", "b"))
    by_class.fit(texts, targets, seed=0)
    by_share.fit(texts, np.eye(2, dtype=np.float32)[targets], seed=0)
    np.testing.assert_allclose(by_class.probabilities(texts), by_share.probabilities(texts), atol=1e-6)
    soft = tfidf(("a", "b"))
    soft.fit(texts, np.full((16, 2), 0.5, np.float32), seed=0)
    np.testing.assert_allclose(soft.probabilities(texts), 0.5, atol=0.01)
    with pytest.raises(ModelError, match="cannot be fitted"):
        tfidf(("a", "b")).fit(texts, np.zeros(16, np.int64), seed=0)


def test_pipeline_and_classifier_work_through_their_entry_points(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for path, code in files("other-models.md").items():
        if "/" in path:
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(code, encoding="utf-8")
    (site / "my_models" / "__init__.py").touch()
    (site / "transformers.py").write_text(TRANSFORMERS, encoding="utf-8")
    groups = {
        "ml_backend.models": {"tfidf_logistic": "my_models.tfidf:TfidfLogistic"},
        "ml_backend.encoders": {"toxicity": "my_models.toxicity:Toxicity"},
    }
    write_dist_info(site, "my-models", "1.0", groups)
    pool = tmp_path / "labelled.csv"
    with pool.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((text, label) for label in TEXTS for text in _stories(label))])
    chosen = ("-s", "auto", "-s", "random", "--text-model", "tfidf_logistic", "--embedding", "toxicity")
    sizes = ("--initial", "4", "--batch", "4", "--budget", "8", "--seeds", "1", "--jobs", "1")
    done = subprocess.run(
        [sys.executable, "-m", "ml_backend", "simulate", pool, *chosen, *sizes, "--out", tmp_path / "out"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(site), str(REPOSITORY)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "model tfidf_logistic" in done.stdout + done.stderr
    assert list((tmp_path / "out").rglob("embedding-toxicity-0.safetensors"))


def _stories(label: str) -> list[str]:
    return [f"{TEXTS[label]}, story {number}" for number in range(30)]


def test_boxes_become_predictions_with_their_scores() -> None:
    page = module("predict_boxes.py")
    found = [(64.0, 48.0, 128.0, 96.0, "Car", 0.75), (0.0, 0.0, 640.0, 480.0, "Bus", 0.5)]
    made = page.prediction(7, found, 640, 480)
    read = read_regions(made["result"])
    assert read.problems == {}
    assert [(region.id, region.labels, region.score) for region in read.regions] == [
        ("box-0", ("Car",), 0.75),
        ("box-1", ("Bus",), 0.5),
    ]
    assert box_of(read.regions[0].value) == pytest.approx((10, 10, 20, 20))
    asked: list[httpx.Request] = []

    def label_studio(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json={"created": 1})

    with httpx.Client(base_url="http://label-studio", transport=httpx.MockTransport(label_studio)) as client:
        assert page.send(3, [made], client) == 1
    assert asked[0].url.path == "/api/projects/3/import/predictions"
    assert json.loads(asked[0].content) == [json.loads(json.dumps(made))]
