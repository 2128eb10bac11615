"""Readers of the example data sets."""

import base64
import csv
import gzip
import io
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.places import REPOSITORY

from ml_backend.errors import BadItemError, DataError
from ml_backend.importing.image_files import embedded_image, idx_bytes, png_data_uri, read_idx
from ml_backend.simulation.headline_files import NOT_RELATED, RELATED, LabelledText, load_headlines, read_headlines
from ml_backend.simulation.mnist_files import load_mnist, split_mnist

STARTER = REPOSITORY / "data" / "headlines_starter.csv"
REAL = Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
needs_real_data = pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason=f"no real data in {REAL}")

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9], dtype=np.uint8)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("values", [IMAGES, LABELS], ids=["idx3", "idx1"])
@pytest.mark.parametrize("unpack", [bytes, gzip.decompress], ids=["gz", "plain"])
def test_idx_round_trip(tmp_path, values, unpack):
    path = write(tmp_path / "some-idx", unpack(idx_bytes(values)))
    read = read_idx(path)
    np.testing.assert_array_equal(read, values)
    assert read.dtype == np.uint8
    assert read.flags.writeable


def test_idx_header_by_hand(tmp_path):
    raw = bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 3])
    assert read_idx(write(tmp_path / "labels", raw)).tolist() == [5, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing"),
        (b"PK\x03\x04....", "504b0304"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 0]), "not an idx1 or idx3"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends within its header"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2]), "holds 2 values, but its header promises 3"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2]), "holds 2 values, but its header promises 1"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "promises 79,2"),
        (idx_bytes(IMAGES)[:-20], "damaged gzip"),
        (b"\x1f\x8b" + b"x" * 30, "damaged gzip"),
    ],
)
def test_idx_damage_is_named_with_the_path(tmp_path, content, message):
    path = write(tmp_path / "broken.gz", content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_idx_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_idx(tmp_path / "absent")


def test_png_data_uri_is_lossless_and_small():
    digit = np.zeros((28, 28), dtype=np.uint8)
    digit[5:23, 13:16] = 200
    uri = png_data_uri(digit)
    prefix, data = uri.split(",")
    assert prefix == "data:image/png;base64"
    assert len(uri) < 300
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        np.testing.assert_array_equal(np.asarray(image), digit)


@pytest.mark.parametrize("bad", [np.zeros((28, 28)), np.zeros((1, 28, 28), np.uint8), np.zeros((0, 28), np.uint8)])
def test_png_data_uri_rejects(bad):
    with pytest.raises(DataError, match=r"uint8 \[height, width\]"):
        png_data_uri(bad)


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
def test_load_mnist_finds_the_layouts(tmp_path, folder):
    write(tmp_path / folder / "t10k-images-idx3-ubyte.gz", idx_bytes(IMAGES))
    write(tmp_path / folder / "t10k-labels-idx1-ubyte.gz", idx_bytes(LABELS))
    images, labels, source = load_mnist(tmp_path)
    assert (images.shape, labels.tolist(), source) == ((3, 28, 28), [7, 0, 9], "MNIST test set, 3 images")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, :14], LABELS, "not images of 28 x 28"),
        (IMAGES, LABELS[:2], "labels for the 3 images"),
        (IMAGES, LABELS + np.uint8(1), "others than 0 to 9"),
        (IMAGES[:0], LABELS[:0], "no labels"),
    ],
)
def test_load_mnist_checks_the_pair(tmp_path, images, labels, message):
    write(tmp_path / "t10k-images-idx3-ubyte.gz", idx_bytes(images))
    write(tmp_path / "t10k-labels-idx1-ubyte.gz", idx_bytes(labels))
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


def test_load_mnist_names_the_next_step(tmp_path):
    with pytest.raises(DataError, match="run lsal fetch-data"):
        load_mnist(tmp_path)


@needs_real_data
def test_real_mnist():
    images, labels, source = load_mnist(REAL)
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert source == "MNIST test set, 10,000 images"
    assert np.mean([len(png_data_uri(image)) for image in images[:100]]) < 500


@pytest.mark.parametrize(
    ("n", "initial", "sizes"), [(10_000, 500, (2_000, 500, 7_500)), (5_000, 100, (1_000, 100, 3_900))]
)
def test_split_sizes(n, initial, sizes):
    split = split_mnist(n, initial=initial, seed=1)
    parts = (split.validation, split.initial, split.open)
    assert tuple(map(len, parts)) == sizes
    assert sorted(np.concatenate(parts)) == list(range(n))


def test_split_is_stable_and_nested():
    small, large = split_mnist(10_000, initial=100, seed=3), split_mnist(10_000, initial=1_000, seed=3)
    np.testing.assert_array_equal(small.validation, large.validation)
    np.testing.assert_array_equal(small.initial, large.initial[:100])
    assert not np.array_equal(small.validation, split_mnist(10_000, initial=100, seed=4).validation)


@pytest.mark.parametrize(("n", "validation", "initial"), [(100, 60, 41), (100, -1, 5), (100, 10, -1), (0, None, 1)])
def test_split_sizes_that_do_not_fit(n, validation, initial):
    with pytest.raises(DataError, match="do not fit"):
        split_mnist(n, validation=validation, initial=initial, seed=0)


def test_embedded_image_rejects_a_large_file(tmp_path):
    with pytest.raises(BadItemError, match="too many to embed"):
        embedded_image(write(tmp_path / "a.png", b"x" * 11), most_bytes=10)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("7,dam bursts,1,random,0\r\n8,cup final,0\r\n", [("dam bursts", RELATED), ("cup final", NOT_RELATED)]),
        ("7,dam bursts,\n", [("dam bursts", None)]),
        ("7,dam bursts\n", [("dam bursts", None)]),
        (
            "\ufefftext,label\ndam bursts,Related\ncup final,not_related\n",
            [("dam bursts", RELATED), ("cup final", NOT_RELATED)],
        ),
        ("publish_date,headline_text\n20030219,dam bursts\n20030219,  \n", [("dam bursts", None)]),
        ('id,text,label,strategy\n7,"dam, old, bursts",1,x\n', [("dam, old, bursts", RELATED)]),
    ],
)
def test_headline_layouts(tmp_path, content, expected):
    assert read_headlines(write(tmp_path / "h.csv", content)) == [LabelledText(*pair) for pair in expected]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("7,dam bursts,1\n8,cup final,2\n", 'line 2: label "2" is none of 0, 1'),
        ("text,label\ndam bursts\n", "line 2: only 1 columns"),
        ("dam bursts,related\n", "line 1: neither a header"),
        ("text,label\n", "holds no headlines"),
        ("", "holds no headlines"),
        ("text\ncaf\u00e9 closes\n".encode("latin-1"), "line 2: byte 0xe9 is not UTF-8"),
        ("text\ncafe\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"text\nok\na\0b\n", "line 3: a NUL byte"),
    ],
)
def test_headline_errors_name_file_and_line(tmp_path, content, message):
    path = write(tmp_path / "h.csv", content)
    with pytest.raises(DataError, match=message) as caught:
        read_headlines(path)
    assert str(path) in str(caught.value)


def labelled_four(folder: Path, layout: str) -> None:
    for part, count in (("evaluation", 3), ("training", 6)):
        for label, value in (("related", 1), ("not_related", 0)):
            rows = [f"{i},{part} {label} {i},{value}" for i in range(count)]
            write(folder / layout.format(part=part, label=label), "\n".join(rows))


@pytest.mark.parametrize("layout", ["headlines/{part}_data_{label}.csv", "{part}_data/{label}.csv"])
def test_load_headlines_without_a_pool_keeps_half_to_label(tmp_path, layout):
    labelled_four(tmp_path, layout)
    data = load_headlines(tmp_path)
    assert tuple(map(len, (data.evaluation, data.training, data.unlabelled))) == (6, 6, 6)
    assert {item.label for item in data.training} <= {RELATED, NOT_RELATED}


def test_the_pool_never_repeats_evaluation_or_training(tmp_path):
    labelled_four(tmp_path, "{part}_data_{label}.csv")
    repeated = "1,Evaluation related 1\n2,training not_related 2\n3,new one\n4,new one\n5,another\n"
    write(tmp_path / "unlabeled_data.csv", repeated)
    write(tmp_path / "labelled_history.csv", "id,text,label,strategy\n1,from history,1,random\n")
    data = load_headlines(tmp_path)
    assert [item.text for item in data.unlabelled] == ["new one", "another"]
    history = load_headlines(tmp_path, pool="history")
    assert history.unlabelled == (LabelledText("from history", RELATED),)
    assert "labelled_history.csv" in history.source


def test_load_headlines_errors(tmp_path):
    with pytest.raises(DataError, match="run lsal fetch-data"):
        load_headlines(tmp_path)
    labelled_four(tmp_path, "{part}_data_{label}.csv")
    with pytest.raises(DataError, match=r"No labelled_history\.csv"):
        load_headlines(tmp_path, pool="history")
    write(tmp_path / "training_data_related.csv", "1,unlabelled here,\n")
    with pytest.raises(DataError, match=r"training_data_related\.csv holds headlines without a label"):
        load_headlines(tmp_path)


def test_load_headlines_from_the_starter(tmp_path):
    write(tmp_path / STARTER.name, STARTER.read_bytes())
    data = load_headlines(tmp_path)
    parts = [{item.text for item in part} for part in (data.evaluation, data.training, data.unlabelled)]
    assert [len(part) for part in parts] == [100, 100, 302]
    assert len(set.union(*parts)) == 502
    assert sum(item.label == RELATED for item in data.evaluation) == 12
    assert {item.label for item in data.training} == {RELATED, NOT_RELATED}


@needs_real_data
def test_real_headlines():
    data = load_headlines(REAL)
    assert len(data.evaluation) == 1_200
    assert sum(item.label == RELATED for item in data.evaluation) == 102
    assert len(data.training) == 95
    assert len(data.unlabelled) > 19_000
    assert {item.label for item in data.unlabelled} == {None}
    taken = {item.text.casefold() for item in (*data.evaluation, *data.training)}
    assert not taken & {item.text.casefold() for item in data.unlabelled}
    assert len(load_headlines(REAL, pool="history").unlabelled) > 900


def test_starter_file_is_what_its_readme_says():
    with STARTER.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert set(rows[0]) == {"text", "label"}
    assert len({row["text"].casefold() for row in rows}) == len(rows) >= 400
    assert {row["label"] for row in rows} == {RELATED, NOT_RELATED}
    related = sum(row["label"] == RELATED for row in rows)
    assert 0.10 <= related / len(rows) <= 0.15
    readme = (STARTER.parent / "README.md").read_text(encoding="utf-8")
    assert f"{len(rows)} invented headlines, {related} of them" in readme
    assert "is invented" in readme.splitlines()[2]


def test_the_invented_headlines_begin_with_each_labels_share(tmp_path):
    """Six of a hundred were about disasters, of twelve in all: the first model named one of those held out."""
    shutil.copy(STARTER, tmp_path)
    for seed in range(3):
        data = load_headlines(tmp_path, seed=seed)
        everything = Counter(item.label for item in read_headlines(STARTER))
        first = Counter(item.label for item in data.training)
        assert len(data.training) == 100
        assert first[RELATED] == pytest.approx(100 * everything[RELATED] / everything.total(), abs=1)
        texts = [item.text.casefold() for item in (*data.training, *data.unlabelled, *data.evaluation)]
        assert len(set(texts)) == len(texts)
