"""The benchmark compares like with like: what it times gives the same results on both sides."""

import numpy as np
import pytest
import torch
from bench.cases import COUNTS, TITLES, make_arrays
from bench.dropout import _seed_pass, anew, fidelity, pixels, plain_network
from bench.rounds import peak_mb
from bench.seed_headlines import seeds_way, training_order, vectorised, vocabulary
from support.examples import FAST, bars

from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.strategies.registry import STRATEGIES


@pytest.fixture(scope="module")
def digits():
    images, targets = bars(40)
    model = MnistCnn(("left", "right"))
    model.fit(images, targets, seed=0, hyperparameters=FAST)
    return model, np.array(images)


def test_the_network_that_peers_get_is_ours(digits):
    model, images = digits
    with torch.no_grad():
        theirs = plain_network(model)(torch.from_numpy(pixels(images))).softmax(dim=1).numpy()
    assert np.allclose(theirs, model.probabilities(images)[:, 0], atol=1e-6)
    passes = plain_network(model).train()
    assert not torch.equal(passes(torch.from_numpy(pixels(images))), passes(torch.from_numpy(pixels(images))))


def test_the_seeds_pass_runs_the_whole_network_on_every_image(digits):
    model, images = digits
    out = _seed_pass(plain_network(model), images, lambda image: torch.from_numpy(np.array(image))[None].float() / 255)
    assert np.allclose(out.numpy(), model.probabilities(images)[:, 0], atol=1e-6)


def test_timing_anew_computes_anew(digits):
    model, images = digits
    model.embed(images)
    fresh = anew(model)
    assert len(fresh._cache) == 0
    assert np.allclose(fresh.embed(images), model.embed(images), atol=1e-6)


def test_more_passes_keep_more_of_the_best_ten(digits):
    kept = {(name, passes): share for name, passes, share in fidelity(*digits)}
    for name in ("entropy", "BALD"):
        assert 0 < kept[name, 5] <= 1.0 + 1e-9
        assert kept[name, 100] >= kept[name, 5] - 0.02


def test_cases_are_in_the_registry_and_the_arrays_are_distributions():
    assert set(TITLES) <= set(STRATEGIES)
    assert set(COUNTS) <= set(TITLES)
    arrays = make_arrays()
    for name in ("entropy", "bald", "batch_bald", "mean"):
        assert np.allclose(arrays[name].sum(axis=-1), 1, atol=1e-5)


def test_the_seeds_headline_algorithm_vectorised_gives_its_probabilities():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(50)]
    targets = np.arange(50) % 2
    known = vocabulary(texts)
    for dtype, apart in (("float32", 1e-6), ("float64", 1e-12)):
        ours, theirs = (way(texts[:30], targets[:30], texts[30:], known, 3, dtype) for way in (vectorised, seeds_way))
        assert np.abs(ours - theirs).max() < apart
    assert ours.std() > 0
    assert len(training_order(targets, 0)) == 10 * 50


def test_memory_peak_is_this_process(tmp_path):
    assert 10 < peak_mb() < 100_000
