"""A tiny pool of texts and its model."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.config import ProjectSettings
from ml_backend.models.headlines import Headlines

WORDS = ("flood", "fire", "storm", "goal", "match", "song", "film", "market")

TEXTS = [f"{WORDS[i % 8]} {WORDS[i // 8]} number {i}" for i in range(60)]

IDS = np.arange(100, 160, dtype=np.int64)

SETTINGS = ProjectSettings(strategy="entropy", control_share=0.2)


@pytest.fixture(scope="module")
def model() -> Headlines:
    model = Headlines(("no", "yes"))
    model.fit(TEXTS[:16], np.array([int(i % 8 < 3) for i in range(16)]), seed=0)
    return model
