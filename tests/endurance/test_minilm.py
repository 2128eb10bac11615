"""Our reading of MiniLM beside sentence-transformers itself."""

import numpy as np
import torch
from support.minilm import FOLDER, SAID, seen_from_16_sides, texts

from ml_backend.encoders.minilm import BATCH, MiniLmNetwork


def test_vectors_are_those_of_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(FOLDER), device="cpu", local_files_only=True)
    expected = theirs.encode(texts(), batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
    ours = MiniLmNetwork(FOLDER, torch.device("cpu")).encode(texts())
    assert np.abs(ours - expected).max() < 1e-5
    assert np.abs(seen_from_16_sides(expected) - np.load(SAID)).max() < 1e-4
