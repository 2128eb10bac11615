"""Our reading of MiniLM gives what sentence-transformers gives, and needs none of what that imports."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.minilm import FOLDER, SAID, seen_from_16_sides, texts

from ml_backend.encoders.minilm import BATCH, MiniLmNetwork


@pytest.fixture(scope="module")
def network():
    return MiniLmNetwork(FOLDER, torch.device("cpu"))


def test_vectors_are_those_of_sentence_transformers(network):
    """As it said them; all numbers of them beside the library: tests/endurance."""
    ours = network.encode(texts())
    assert len(ours) > BATCH
    assert np.abs(np.linalg.norm(ours, axis=1) - 1).max() < 1e-5
    assert np.abs(seen_from_16_sides(ours) - np.load(SAID)).max() < 1e-4


def test_it_needs_no_sentence_transformers():
    code = """
import sys
from ml_backend.encoders import text_vectors
assert text_vectors.encode("minilm", ["a flood"]).shape == (1, 384)
assert not {"sentence_transformers", "transformers"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_no_texts(network):
    assert network.encode([]).shape == (0, 384)


def test_another_kind_of_network_is_refused(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(config.read_text().replace('"bert"', '"roberta"'))
    with pytest.raises(ValueError, match="roberta, not a BERT"):
        MiniLmNetwork(tmp_path / "other", torch.device("cpu"))
