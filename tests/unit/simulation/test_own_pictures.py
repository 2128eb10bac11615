"""A user's own pictures in a simulation: which model reads them, and what a Label Studio gets of them."""

import json

import numpy as np
import pytest
from bench.shapes import coloured_shapes
from PIL import Image
from support.groceries import few_groceries
from support.simulations import call

from ml_backend.encoders import feature_store
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.media import decode_data_uri
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.photos import Photos
from ml_backend.simulation.data import Source
from ml_backend.simulation.live import value_of


@pytest.fixture(autouse=True)
def nothing_kept():
    yield
    feature_store.use(None)


@pytest.fixture
def shapes(tmp_path):
    files, kinds = coloured_shapes(6)
    for number, (raw, kind) in enumerate(zip(files, kinds, strict=True)):
        path = tmp_path / "shapes" / kind / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return tmp_path / "shapes"


def test_coloured_pictures_are_read_as_photographs(shapes):
    (shapes / "circle" / "damaged.jpg").write_bytes(b"no picture")
    loaded = Source("own", shapes).load()
    assert (loaded.model, loaded.labels, len(loaded.items)) == (Photos, ("circle", "square", "triangle"), 6)
    assert loaded.items[0].shape == (2560,)
    assert loaded.values == []


def test_the_model_can_be_named(shapes):
    loaded = Source("own", shapes, image_model="mnist_cnn").load()
    assert (loaded.model, loaded.items[0].shape) == (MnistCnn, (28, 28))
    with pytest.raises(ConfigurationError, match="--image-model"):
        Source("own", shapes, image_model="nonsense").load()
    with pytest.raises(ConfigurationError, match="Unknown picture encoder 'nonsense'"):
        Source("own", shapes, encoder="nonsense").load()


def test_a_label_studio_gets_the_files_not_the_features(shapes):
    loaded = Source("own", shapes, keep_values=True).load()
    first = sorted((shapes / "circle").iterdir())[0]
    assert decode_data_uri(value_of(loaded, 0)) == first.read_bytes()
    groceries = Source("photos", few_groceries(shapes), keep_values=True).load()
    assert decode_data_uri(value_of(groceries, 3)) == (shapes / "groceries" / "Pear" / "test 3.jpg").read_bytes()


def test_a_small_grey_picture_is_made_of_its_item(tmp_path):
    for label in ("dark", "light"):
        (tmp_path / label).mkdir()
        Image.fromarray(np.full((28, 28), 40 * len(label), np.uint8)).save(tmp_path / label / "a.png")
    loaded = Source("own", tmp_path).load()
    assert loaded.model is MnistCnn
    assert value_of(loaded, 0).startswith("data:image/png;base64,")


def test_a_second_run_encodes_nothing_again(shapes, tmp_path):
    Source("own", shapes, features=tmp_path / "out").load()
    kept = list((tmp_path / "out" / "features").glob("*.sqlite"))
    assert sorted(path.name for path in kept) == ["efficientnet_lite0.sqlite", "efficientnet_lite1.sqlite"]
    damaged = sorted((shapes / "circle").iterdir())[0]
    store = feature_store.kept()
    key = feature_store.content_key(damaged.read_bytes())
    assert store.get("efficientnet_lite1", [key])[key].dtype == np.float16


def test_the_photographs_begin_cold_unless_asked_otherwise(tmp_path):
    sizes = ("--held-out", 2, "--initial", 2, "--batch", 1, "--budget", 2, "--seeds", 1, "--jobs", 1, "-s", "random")
    common = ("--preset", "photos", "--data", few_groceries(tmp_path), *sizes)
    for options, cold in (((), True), (("--warm",), False)):
        out = tmp_path / str(cold)
        done = call(*common, *options, "--out", out)
        assert done.exit_code == 0, done.output
        assert json.loads((out / "photos" / "settings.json").read_text(encoding="utf-8"))["cold"] is cold
