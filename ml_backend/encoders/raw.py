"""Embeddings without a model, for strategies that work before the first labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 64
MAX_WORDS = 20_000


def raw_embeddings(items: Sequence[Any], *, seed: int) -> NDArray[np.float32]:
    """Principal components of pixels, or of TF-IDF word counts (latent semantic analysis) ``[N, 64]``, or fewer.

    Pixels are centred first; word counts are not, to stay sparse (Deerwester et al. 1990). Which it is follows from
    the items: texts, or arrays of one shape.
    """
    # Imported when used: a second of start-up that every command would pay for.
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not len(items):
        return np.zeros((0, 1), np.float32)
    if isinstance(items[0], str):
        try:
            rows = TfidfVectorizer(sublinear_tf=True, max_features=MAX_WORDS, dtype=np.float32).fit_transform(items)
        except ValueError:  # no words at all
            return np.zeros((len(items), 1), np.float32)
    else:
        rows = np.stack(items).reshape(len(items), -1).astype(np.float32) / 255
        rows -= rows.mean(axis=0)
    wanted = min(DIMENSIONS, min(rows.shape) - 1)
    if wanted < 1:
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        return np.asarray(dense, dtype=np.float32)
    # NumPy warns as it divides by a variance of 0, where all items are alike; the ratio is not used.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(TruncatedSVD(wanted, random_state=seed).fit_transform(rows), dtype=np.float32)
