"""Our strategies against those of baal, batchbald_redux, modAL, scikit-activeml and small-text.

The peers need an environment of their own, which make installs from requirements-peers.txt (hashes pinned); their
code runs there once, on random numbers and on real digits, and every test compares with one of its answers.
"""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from support.places import REPOSITORY

from ml_backend.strategies import acquisition, badge, batch_bald, clusters, geometry

COUNT = 12
BATCH = 4
KINDS = ("random", "digits")


def digits():
    """Real images: embeddings, and what eight models trained on draws of 100 of them say."""
    data = load_digits()
    rng = np.random.default_rng(0)
    x = data.data / 16
    passes = []
    for _ in range(8):
        picked = rng.choice(len(x), 100, replace=False)
        passes.append(LogisticRegression(max_iter=1000).fit(x[picked], data.target[picked]).predict_proba(x))
    return x, np.stack(passes, axis=1)


def random_probabilities(rng, shape):
    """Some of them 0."""
    p = rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    p[p < 0.02] = 0
    return p / p.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="session")
def asked():
    rng = np.random.default_rng(1)
    x, p = digits()
    x, done, p = x[:600], x[600:640], p[:600]
    count = len(done) + COUNT
    rows = np.concatenate([x, done])
    unit = geometry.unit(x).astype(np.float32)
    return {
        "random_p": random_probabilities(rng, (200, 8, 5)),
        "digits_p": p[:200],
        "small_p": rng.dirichlet(np.full(3, 0.3), (40, 6)),
        "x": x,
        "done": done,
        "x_p": p.mean(axis=1),
        "count": COUNT,
        "batch": BATCH,
        "typiclust_clusters": clusters.k_means(rows, count, np.random.default_rng(5)).labels,
        "probcover_picks": geometry.probcover(x, done, COUNT, classes=10, rng=np.random.default_rng(6)).order,
        "probcover_radius": np.sqrt(2 - 2 * geometry.pure_cosine(unit, 10, np.random.default_rng(6))),
        "badge_picks": badge.badge(p, x, COUNT, np.random.default_rng(7)).order,
    }


@pytest.fixture(scope="session")
def answers(asked, tmp_path_factory):
    make = shutil.which("make")
    assert make, "make installs the peers; it is missing"
    build = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    subprocess.run(
        [make, "--quiet", ".venv-peers/.ready", f"PYTHON={sys.executable}"],
        cwd=REPOSITORY,
        env=build,
        check=True,
        timeout=600,
    )
    folder = tmp_path_factory.mktemp("peers")
    np.savez(folder / "in.npz", **asked)
    done = subprocess.run(
        [
            REPOSITORY / ".venv-peers/bin/python",
            "-Wignore",  # the peers' own, about packages newer than they are
            REPOSITORY / "tests/support/peer_answers.py",
            folder / "in.npz",
            folder / "out.npz",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(folder / "out.npz")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("peer", ["baal_entropy", "modal_entropy", "modal_consensus_entropy", "skactiveml_entropy"])
def test_entropy(asked, answers, kind, peer):
    p = asked[f"{kind}_p"]
    np.testing.assert_allclose(
        acquisition.entropy(p) * np.log(p.shape[2]), answers[f"{kind}_{peer}"], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("peer", "ours"),
    [
        ("baal_margin", lambda margin: 1 - margin),
        ("modal_margin", lambda margin: 1 - margin),
        ("skactiveml_margin", lambda margin: margin),
        ("small_text_breaking_ties", lambda margin: 1 - margin),
    ],
)
def test_margin(asked, answers, kind, peer, ours):
    np.testing.assert_allclose(ours(acquisition.margin(asked[f"{kind}_p"])), answers[f"{kind}_{peer}"], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("peer", ["baal_uncertainty", "modal_uncertainty", "skactiveml_least_confident"])
def test_least_confidence(asked, answers, kind, peer):
    p = asked[f"{kind}_p"]
    ours = acquisition.least_confidence(p) * (p.shape[2] - 1) / p.shape[2]
    np.testing.assert_allclose(ours, answers[f"{kind}_{peer}"], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_bald(asked, answers, kind):
    ours = acquisition.bald(asked[f"{kind}_p"])
    np.testing.assert_allclose(ours, answers[f"{kind}_baal_bald"], atol=1e-12)
    np.testing.assert_allclose(np.sort(ours)[::-1], answers[f"{kind}_redux_bald"], atol=1e-9)
    # small-text counts in bits and adds 1e-8 under the logarithm.
    np.testing.assert_allclose(ours / np.log(2), answers[f"{kind}_small_text_bald"], atol=1e-6)
    assert np.argsort(-ours)[:20].tolist() == answers[f"{kind}_redux_bald_order"][:20].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_variation_ratio(asked, answers, kind):
    ours = acquisition.variation_ratio(asked[f"{kind}_p"])
    np.testing.assert_allclose(ours, answers[f"{kind}_skactiveml_variation_ratio"], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_epig(asked, answers, kind):
    p = asked[f"{kind}_p"]
    np.testing.assert_allclose(acquisition.epig(p, p[:30]), answers[f"{kind}_baal_epig"], atol=5e-6)  # theirs: float32


@pytest.mark.parametrize("peer", ["redux_batch", "skactiveml_batch"])
def test_batch_bald_picks(asked, answers, peer):
    ours = batch_bald.batch_bald(asked["small_p"], BATCH, lambda _row, size: np.zeros(size))
    assert ours.order.tolist() == answers[peer].tolist()


def test_batch_bald_scores(asked, answers):
    ours = batch_bald.batch_bald(asked["small_p"], BATCH, lambda _row, size: np.zeros(size))
    joint = np.cumsum(ours.utility * np.log(3))
    np.testing.assert_allclose(joint, answers["redux_batch_scores"], atol=1e-6)


@pytest.mark.parametrize("peer", ["core_set", "small_text_core_set"])
def test_k_center_picks(asked, answers, peer):
    ours = geometry.k_center(asked["x"], asked["done"], COUNT)
    assert ours.order.tolist() == answers[peer].tolist()


def test_typiclust_picks(asked, answers):
    ours = clusters.typiclust(asked["x"], asked["done"], COUNT, np.random.default_rng(5))
    # Clusters of equal size come in any order.
    assert sorted(ours.order.tolist()) == sorted(answers["typiclust"].tolist())


def test_each_pick_of_probcover_has_the_most_uncovered_neighbours(asked, answers):
    for pick, degrees in zip(asked["probcover_picks"], answers["probcover_degrees"], strict=True):
        assert degrees[pick] == np.nanmax(degrees)


def test_badge_distances(asked, answers):
    a, h = badge.factors(asked["x_p"][:, None], asked["x"])
    lengths = (a**2).sum(axis=1) * (h**2).sum(axis=1)
    np.testing.assert_allclose(lengths, answers["badge_squared_distances"][0], atol=1e-9)
    nearest = np.full(len(a), np.inf)
    for pick, theirs in zip(asked["badge_picks"], answers["badge_squared_distances"][1:], strict=False):
        nearest = np.minimum(nearest, badge.squared_distances(a, h, lengths, pick))
        np.testing.assert_allclose(nearest, theirs, atol=1e-6)
    assert asked["badge_picks"][0] == answers["badge_squared_distances"][0].argmax()
