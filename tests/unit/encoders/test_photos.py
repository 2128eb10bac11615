"""Photographs without labels: what a project's encoder makes of the networks' features."""

import io
import json

import numpy as np
import pytest
import torch

from ml_backend.encoders.photos import Photos
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import ModelError


def test_photos_are_centred_and_of_length_1():
    items = list(np.array([[1, 2, 0], [3, 2, 0], [2, 2, 0]], np.float32))
    encoder = ENCODERS["photos"].learn(items, seed=0)
    np.testing.assert_allclose(encoder.embed(items), [[-1, 0, 0], [1, 0, 0], [0, 0, 0]])
    assert [len(view) for view in encoder.views(items)] == [3]
    assert encoder.embed([]).shape == (0, 3)
    buffer = io.BytesIO()
    weights, config = encoder.state()
    torch.save(weights, buffer)
    buffer.seek(0)
    again = Photos.from_state(torch.load(buffer, weights_only=True), json.loads(json.dumps(config)))
    np.testing.assert_array_equal(again.embed(items), encoder.embed(items))


def test_photos_refuse_what_is_wrong():
    with pytest.raises(ModelError, match="no items"):
        Photos.learn([], seed=0)
    with pytest.raises(ModelError, match="no options, but turn"):
        Photos.learn([np.zeros(3, np.float32)], seed=0, options={"turn": 1.0})
    encoder = Photos.learn([np.zeros(3, np.float32)], seed=0)
    with pytest.raises(ModelError, match=r"vectors of 3 numbers, not \[4\]"):
        encoder.embed([np.zeros(4, np.float32)])
    with pytest.raises(ModelError, match="damaged"):
        Photos.from_state({}, {})
