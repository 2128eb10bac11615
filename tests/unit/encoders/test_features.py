"""Scoring computes each item's features once, and gives the same whatever is cached and however items are batched."""

import threading
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.special import entr
from support.examples import EXAMPLES, FAST, LABELS, those_of
from torch import nn

from ml_backend import hardware
from ml_backend.encoders.feature_cache import BLOCK, FeatureCache
from ml_backend.hardware import Hardware
from ml_backend.models import headlines, layers, mnist_cnn
from ml_backend.models.mnist_network import folded
from ml_backend.models.registry import MODELS
from ml_backend.models.torch_classifier import HeadedClassifier


class Counting:
    """Features that tell how often they were computed: each text's length, twice."""

    def __init__(self):
        self.asked = []

    def __call__(self, items):
        self.asked += items
        return np.array([[len(item)] * 2 for item in items], dtype=np.float32).reshape(len(items), 2)


def test_each_item_is_computed_once():
    cache, compute = FeatureCache(2), Counting()
    assert cache.get(["a", "bb"], str, compute).tolist() == [[1, 1], [2, 2]]
    assert cache.get(["ccc", "bb", "a"], str, compute).tolist() == [[3, 3], [2, 2], [1, 1]]
    assert compute.asked == ["a", "bb", "ccc"]
    assert cache.get([], str, compute).shape == (0, 2)


def test_a_full_cache_stays_as_it_is_and_still_answers():
    cache, compute = FeatureCache(2, capacity=2), Counting()
    for _ in range(2):
        assert cache.get(["a", "bb", "ccc"], str, compute)[:, 0].tolist() == [1, 2, 3]
    assert len(cache) == 2
    assert compute.asked == ["a", "bb", "ccc", "ccc"]


def test_what_is_rounded_to_16_bits_anyway_is_kept_in_them_a_block_at_a_time():
    cache, most, count = FeatureCache(2, dtype=np.float16), [], 2 * BLOCK + 3

    def compute(numbers):
        most.append(len(numbers))
        return np.array([[n, 1 / 3] for n in numbers], np.float32)

    first = cache.get(range(count), int, compute)
    again = cache.get(range(count - 1, -1, -1), int, compute)
    assert (most, first.dtype, again.dtype) == ([BLOCK, BLOCK, 3], np.float32, np.float32)
    np.testing.assert_array_equal(again[::-1], first.astype(np.float16))
    assert (again[::-1] != first).any(), "else it is kept in more"
    assert first[:, 0].tolist() == list(range(count))


def test_a_large_pool_is_held_once_as_it_is_kept_and_once_as_it_is_handed_out():
    cache, count, dims = FeatureCache(128, dtype=np.float16), 8 * BLOCK, 128
    tracemalloc.start()
    for _ in range(2):  # computed, then kept
        cache.get(range(count), int, lambda numbers: np.zeros((len(numbers), dims), np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.4 * 4 * count * dims, "1.5, some blocks, and the keys"


def test_it_grows_in_place_and_hands_out_what_it_keeps_in_as_many_bits():
    """A copy of a large pool's features, at each growth, would be some hundred megabytes."""
    cache, count, dims = FeatureCache(512, dtype=np.float16), 8 * BLOCK, 512
    tracemalloc.start()
    for start in range(0, count, BLOCK):
        cache.get_as_kept(range(start, start + BLOCK), int, lambda numbers: np.ones((len(numbers), dims), np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * 2 * count * dims, "once, some blocks, and the keys"
    handed = cache.get_as_kept(range(count), int, lambda numbers: np.zeros((len(numbers), dims), np.float32))
    assert handed.dtype == np.float16
    assert (handed == 1).all()


def test_copies_in_one_call_are_kept_once():
    cache = FeatureCache(2)
    assert cache.get(["a", "a"], str, Counting())[:, 0].tolist() == [1, 1]
    assert len(cache) == 1


def test_what_it_returned_is_the_callers():
    cache = FeatureCache(2)
    cache.get(["a"], str, Counting())[:] = 99
    cache.get(["a"], str, Counting())[:] = 99
    assert cache.get(["a"], str, Counting()).tolist() == [[1, 1]]


def test_threads_share_it():
    cache, items = FeatureCache(2, capacity=500), ["x" * n for n in range(1, 400)]
    wrong = []

    def ask(seed):
        chosen = np.random.default_rng(seed).permutation(items)
        for start in range(0, len(chosen), 20):
            part = [str(item) for item in chosen[start : start + 20]]
            if cache.get(part, str, Counting())[:, 0].tolist() != [len(item) for item in part]:
                wrong.append(part)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache) == len(items)


def example(name):
    """A fitted model and 24 items."""
    items, targets = EXAMPLES[name](24)
    model = MODELS[name](LABELS)
    model.fit(items, targets, seed=3, hyperparameters=those_of(MODELS[name], FAST))
    return model, items


@pytest.fixture(scope="module", params=sorted(name for name in MODELS if issubclass(MODELS[name], HeadedClassifier)))
def fitted(request):
    return example(request.param)


@pytest.fixture(
    scope="module",
    params=sorted(
        name for name, model in MODELS.items() if model.learns_features and issubclass(model, HeadedClassifier)
    ),
)
def learner(request):
    """One that learns its features (see test_sentences.py for one that does not)."""
    return example(request.param)


def anew(model):
    """The same version with nothing cached."""
    return type(model).from_state(model.labels, *model.state())


def test_a_second_strategy_costs_no_forward_pass(learner, monkeypatch):
    model, items = anew(learner[0]), learner[1]
    first = model.probabilities(items)
    monkeypatch.setattr(model, "_features", lambda _: pytest.fail("features were computed twice"))
    assert np.array_equal(model.probabilities(items), first)
    assert model.probabilities(items, samples=7).shape == (24, 7, 3)
    assert model.embed(items).shape[0] == 24
    assert np.allclose(model.probabilities(items[5:6]), first[5:6], atol=1e-6)


def test_a_new_training_forgets(learner):
    model, items = anew(learner[0]), learner[1]
    before = model.embed(items)
    model.fit(items, np.arange(24) % 2, seed=4, hyperparameters=those_of(type(model), FAST))
    assert not np.allclose(model.embed(items), before)


@pytest.mark.parametrize("samples", [1, 4, 20])
@pytest.mark.parametrize("count", [0, 1, 2 * layers.HEAD_BLOCK + 67])
@pytest.mark.parametrize("multiple", [False, True])
def test_blocks_of_the_head_do_not_matter(samples, count, multiple):
    """More items than are in the head at a time, of few heads and of many, against one product of all."""
    rng = np.random.default_rng(0)
    features, head = rng.normal(size=(count, 5)).astype(np.float32), nn.Linear(5, 3)
    with torch.no_grad():
        found = layers.head_probabilities(layers.in_blocks(features), count, head, 0.2, samples, 1, multiple=multiple)
        mask = layers.dropout(torch.ones(samples, 1, 5), 0.2, torch.Generator().manual_seed(1))
        seen = torch.from_numpy(features) * mask if samples > 1 else torch.from_numpy(features)[None]
        logits = head(seen)  # [K, N, C]
        expected = torch.sigmoid(logits) if multiple else torch.softmax(logits, dim=2)
    assert found.shape == (count, samples, 3)
    assert np.allclose(found, expected.transpose(0, 1).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["mnist_cnn", "headlines"])
def test_blocks_of_features_do_not_matter(name):
    """More items than are computed at a time."""
    block = {"mnist_cnn": mnist_cnn.BLOCK, "headlines": headlines.BLOCK}[name]
    model = example(name)[0]
    items = EXAMPLES[name](block + 3)[0]
    whole, rest = anew(model).embed(items), anew(model).embed(items[block - 5 :])
    assert np.allclose(whole[block - 5 :], rest, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 9])
def test_the_order_of_items_does_not_matter(fitted, samples):
    model, items = fitted
    whole = anew(model).probabilities(items, samples=samples, seed=1)
    order = np.random.default_rng(0).permutation(24)
    shuffled = anew(model).probabilities([items[i] for i in order], samples=samples, seed=1)
    assert np.allclose(shuffled, whole[order], atol=1e-6)


def test_passes_are_those_of_dropout_on_the_features(fitted):
    """Pass by pass, by hand: mask the features, apply the head, softmax."""
    model, items = fitted
    hidden, head, rate = torch.from_numpy(model.embed(items)), model._network.head, model._dropout
    masks = layers.dropout(torch.ones(5, 1, hidden.shape[1]), rate, torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = torch.stack([head(hidden * mask).softmax(dim=1) for mask in masks], dim=1)
    assert np.allclose(model.probabilities(items, samples=5, seed=2), expected.numpy(), atol=1e-6)


def test_flags_and_weights_are_left_alone(fitted):
    model, items = fitted
    before = {name: value.clone() for name, value in model._network.state_dict().items()}
    model.probabilities(items, samples=4)
    assert not any(module.training for module in model._network.modules())
    assert all(torch.equal(value, before[name]) for name, value in model._network.state_dict().items())


def test_half_precision_keeps_the_choice():
    items, targets = EXAMPLES["mnist_cnn"](60)
    model = MODELS["mnist_cnn"](LABELS)
    model.fit(items, targets, seed=3, hyperparameters=FAST)
    exact = model.probabilities(items)[:, 0]
    with hardware.using(Hardware(precision="bfloat16")):
        half = anew(model).probabilities(items)[:, 0]
    assert np.abs(exact - half).max() < 0.05
    assert (exact.argmax(axis=1) == half.argmax(axis=1)).mean() > 0.95
    entropy = entr(exact).sum(axis=1)
    kept = entropy[np.argsort(-entr(half).sum(axis=1))[:10]].sum() / np.sort(entropy)[-10:].sum()
    assert kept > 0.95


# --- the network that scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("negative", [False, True])
def test_folding_changes_neither_the_scores_nor_the_trained_network(negative):
    """A batch norm goes into its convolution where all its scales are positive; else it stays."""
    model, items = example("mnist_cnn")
    trunk = model._network.trunk
    with torch.no_grad():
        for layer in trunk:
            if isinstance(layer, nn.BatchNorm2d):
                layer.bias.normal_(generator=torch.Generator().manual_seed(0))
                layer.weight[::2] *= -1 if negative else 2
    before = {name: value.clone() for name, value in model._network.state_dict().items()}
    pixels = torch.from_numpy(np.stack(items))[:, None].float()
    with torch.no_grad():
        expected, quick = trunk(pixels / 255).numpy(), folded(trunk)
        found = quick(pixels).numpy()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in quick) == (3 if negative else 0)
    np.testing.assert_array_equal(anew(model).embed(items), model.embed(items))
    assert all(torch.equal(value, before[name]) for name, value in model._network.state_dict().items())
