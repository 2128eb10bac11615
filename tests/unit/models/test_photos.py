"""Photographs: vectors of a pretrained network, centred on what was trained on, under a linear head."""

import io

import numpy as np
import pytest
from PIL import Image
from support.examples import EXAMPLES, LABELS

from ml_backend.encoders import photos as centring
from ml_backend.encoders import picture_vectors
from ml_backend.errors import BadItemError, ConfigurationError, ModelError
from ml_backend.models.photos import Photos


def picture(colour: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(content, "PNG")
    return content.getvalue()


def fitted(count=24, **hyperparameters):
    items, targets = EXAMPLES["photos"](count)
    model = Photos(LABELS)
    model.fit(items, targets, seed=0, hyperparameters=hyperparameters)
    return model, items


def test_what_the_head_sees_is_what_the_pools_encoder_makes_of_the_same_items():
    model, items = fitted()
    np.testing.assert_array_equal(model.embed(items), centring.Photos.learn(items, seed=0).embed(items))
    assert np.allclose(np.linalg.norm(model.embed(items), axis=1), 1, atol=1e-5)


def test_the_centre_is_stored_so_that_one_item_alone_is_seen_alike():
    model, items = fitted()
    again = Photos.from_state(LABELS, *model.state())
    np.testing.assert_array_equal(again.embed(items[3:4]), model.embed(items)[3:4])
    assert not np.allclose(again.embed(items[3:4]), Photos.from_state(LABELS, *fitted(6)[0].state()).embed(items[3:4]))


def test_pictures_are_read_by_the_encoder_that_is_named():
    reader = Photos.reader({})
    red, broken, blue = reader.read([picture("red"), b"no picture", picture("blue")])
    assert isinstance(broken, BadItemError)
    np.testing.assert_allclose(red, Photos.read_item(picture("red")), atol=1e-4)
    assert red.shape == blue.shape == (picture_vectors.dimensions("auto"),)
    assert reader.name == Photos.default_encoder(), "vectors of two encoders are never taken for each other"
    with pytest.raises(ConfigurationError, match="Unknown picture encoder 'lens'"):
        Photos.reader({"encoder": "lens"})


@pytest.mark.parametrize("raw", ["a text", b"no picture"])
def test_what_is_no_picture(raw):
    with pytest.raises(BadItemError):
        Photos.read_item(raw)


def test_items_of_another_encoder():
    model, _ = fitted()
    with pytest.raises(ModelError, match="vectors of 64 numbers"):
        model.probabilities([np.zeros(7, np.float32)])


def test_a_version_names_its_encoder():
    weights, config = fitted()[0].state()
    assert config["encoder"] == "efficientnet_lite0_lite1"
    with pytest.raises(ModelError, match="names no known encoder"):
        Photos.from_state(LABELS, weights, {**config, "encoder": "lens"})
