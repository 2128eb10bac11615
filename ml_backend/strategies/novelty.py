"""Novelty: what an item has that no label has yet. And two ways to see features: words of texts, units of embeddings.

Axes: ``N`` open items, ``L`` labelled items, ``F`` features, ``D`` embedding dimensions, ``B`` picks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.strategies.base import Strategy, needs
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Picks

if TYPE_CHECKING:
    from scipy import sparse

BUCKETS = 2**20
_SIGNS = r"\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0eff"
WORDS = rf"[{_SIGNS}]|[^\W{_SIGNS}]+"
"""One sign of a script that is written without spaces, or a run of letters of another."""
STRONGEST = 6
"""Units of an embedding whose pairs are an item's features."""


def novelty(features: sparse.csr_matrix, labelled: sparse.csr_matrix, count: int) -> Picks:
    """``features unseen in the labels / features of the item``, counted anew after each pick (Monarch 2021, ch. 7).

    A pick's features are seen from then on, so a batch is not ten copies of one odd item. O(nnz + B N): each feature
    is crossed out once. An item without features has nothing new.

    Args:
        features: ``[N, F]``, nonzero where an item has a feature.
        labelled: ``[L, F]``.
        count: B.
    """
    from scipy import sparse

    items = features.shape[0]
    has = sparse.csr_matrix((np.ones(features.nnz, np.int64), features.indices, features.indptr), features.shape)
    has.sum_duplicates()
    who = has.tocsc()
    seen = np.zeros(features.shape[1], dtype=np.bool_)
    seen[labelled.indices] = True
    sizes = np.diff(has.indptr).astype(np.float64)
    unseen = np.asarray(has @ (~seen).astype(np.int64), dtype=np.float64)
    left = np.ones(items, dtype=np.bool_)
    order: list[int] = []
    values: list[float] = []
    reasons: dict[int, str] = {}
    for _ in range(min(count, items)):
        share = np.where(left, unseen / np.maximum(sizes, 1.0), -1.0)
        best = int(np.argmax(share))
        order.append(best)
        values.append(float(share[best]))
        reasons[best] = f"{share[best]:.0%} of its features are in no task labelled or asked before"
        left[best] = False
        mine = has.indices[has.indptr[best] : has.indptr[best + 1]]
        for feature in mine[~seen[mine]]:
            unseen[who.indices[who.indptr[feature] : who.indptr[feature + 1]]] -= 1.0
        seen[mine] = True
    return Picks.of(order, np.array(values), reasons)


def _novelty(inputs: StrategyInputs, count: int) -> Picks:
    if inputs.features is None or inputs.labelled_features is None:
        raise AcquisitionError("novelty needs features of open and labelled items.")
    return novelty(inputs.features, inputs.labelled_features, count)


def _feature_sums(inputs: StrategyInputs) -> NDArray[np.floating]:
    """A number per item that is the same for the same features ``[N, 1]``."""
    if inputs.features is None:
        raise AcquisitionError("novelty needs features of open and labelled items.")
    keys = np.random.default_rng(0).integers(2**40, size=inputs.features.shape[1])
    return np.asarray(((inputs.features != 0).astype(np.int64) @ keys)[:, None], dtype=np.float64)


NOVELTY: Final = Strategy(
    "items full of words (of images: patterns) that no label has yet: finds new topics",
    "`unseen features / features`, picks count as seen",
    "Monarch 2021, ch. 7",
    "O(nnz + B N)",
    needs("features", "labelled"),
    pick=_novelty,
    copies=_feature_sums,
    caveat="asks for odd items, typing errors too; best as a small part of a mixture",
)


def word_features(texts: Sequence[str]) -> sparse.csr_matrix:
    """Which words each text has ``[N, F]``, hashed into 2^20 buckets."""
    # Imported when used: a second of start-up that every command would pay for.
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=BUCKETS, token_pattern=WORDS, binary=True, norm=None, alternate_sign=False, dtype=np.float32
    )
    return sparse.csr_matrix(vectorizer.transform(texts)) if len(texts) else sparse.csr_matrix((0, BUCKETS))


def unit_features(embeddings: NDArray[np.floating], labelled: NDArray[np.floating]) -> tuple[sparse.csr_matrix, ...]:
    """The pairs of each item's six strongest units, as features of open ``[N, D²]`` and labelled items ``[L, D²]``.

    A unit's strength is its distance above its mean over the open items, in standard deviations. Single units would
    all be seen after a few labels; pairs say which patterns go together.
    """
    from scipy import sparse

    mean, spread = embeddings.mean(axis=0), embeddings.std(axis=0)
    dims = embeddings.shape[1]
    strongest = min(STRONGEST, dims)
    first, second = np.triu_indices(strongest)

    def pairs(rows: NDArray[np.floating]) -> sparse.csr_matrix:
        strength = (rows - mean) / np.where(spread > 0, spread, 1.0)
        top = np.sort(np.argpartition(-strength, strongest - 1, axis=1)[:, :strongest], axis=1)
        columns = (top[:, first].astype(np.int64) * dims + top[:, second]).ravel()
        ends = np.arange(len(rows) + 1) * len(first)
        return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), (len(rows), dims * dims))

    return pairs(np.asarray(embeddings)), pairs(np.asarray(labelled).reshape(len(labelled), dims))
