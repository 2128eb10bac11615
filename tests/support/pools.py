"""Pools of random items as strategies see them."""

from functools import partial

import numpy as np
from scipy import sparse

from ml_backend.selection.ordering import inputs_of
from ml_backend.semi_supervised.graph import Neighbourhood, affinity, coordinates, nearest
from ml_backend.strategies import novelty
from ml_backend.strategies.registry import STRATEGIES

MIX = "entropy:0.5,k_center:0.3,random:0.2"
ALL = [*STRATEGIES, MIX]
BATCH_AWARE = [name for name, entry in STRATEGIES.items() if entry.batch_aware]

FIRST_ID = 1000
"""The id of the first item."""


def inputs(items=40, classes=3, seed=0, passes=4, dims=5, of=None, several=False):
    """A pool of random blobs; ``of`` makes each item a copy of that one of ``items``; ``several``: answers are sets."""
    rng = np.random.default_rng(17)
    rows = np.arange(items) if of is None else np.asarray(of)
    centres = rng.normal(size=(classes, dims)) * 2
    kinds = rng.integers(classes, size=items)
    x = (centres[kinds] + rng.normal(size=(items, dims)))[rows]
    p = rng.dirichlet(np.ones(classes), (items, passes))[rows].astype(np.float32)
    p = rng.random((items, passes, classes))[rows].astype(np.float32) if several else p
    done = centres[[0, 1]] + rng.normal(size=(2, dims))
    features, labelled_features = novelty.unit_features(x, done) if len(x) else (sparse.csr_matrix((0, 25)),) * 2
    points, nodes = np.unique(np.concatenate([x, done]).astype(np.float32), axis=0, return_inverse=True)
    nodes, weights = nodes.reshape(-1), affinity(nearest([points], points, 9))
    graph = Neighbourhood(
        weights,
        partial(coordinates, weights),
        nodes[:-2],
        nodes[-2:],
        np.eye(2, classes, dtype=np.int64) if several else np.arange(2),
        np.full(classes, 1 / classes),
        p.mean(axis=1),
    )
    return inputs_of(
        np.arange(len(rows)) + FIRST_ID,
        seed,
        several=several,
        neighbourhood=graph,
        probabilities=p,
        embeddings=x.astype(np.float32),
        features=features,
        labelled=done.astype(np.float32),
        labelled_features=labelled_features,
        validation=rng.normal(size=(30, dims)),
        wrong=np.arange(30) % 4 == 0,
        doubts=np.random.default_rng(18).random(items)[rows],
    )
