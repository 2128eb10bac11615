"""A store with a published queue."""

from datetime import UTC, datetime

import numpy as np
import pytest

from ml_backend.config import Settings
from ml_backend.models.headlines import Headlines
from ml_backend.records import Prediction, Queue
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import Current, ProjectStore

UID = "7.1700000000"

VERSION = "headlines-0001-0123abcd"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return Settings(model_dir=tmp_path)


def publish(settings, uid, queued):
    """Store a fitted model and a queue of task id → score."""
    texts = ["flood in the river", "football match"] * 4
    model = Headlines(("yes", "no"))
    model.fit(texts, np.array([0, 1] * 4), seed=0, hyperparameters={"steps": 20})
    weights, config = model.state()
    store = ProjectStore(settings.model_dir, uid)
    manifest = Manifest(
        name=VERSION,
        model="headlines",
        number=1,
        created_at=datetime.now(UTC),
        object_tag="Text",
        labels=("yes", "no"),
        config=config,
        fingerprint="0123abcd",
        examples=8,
        label_counts={},
        training={},
        metrics=None,
    )
    store.write_version(manifest, weights)
    predictions = tuple(Prediction(task_id, "yes", 0.9, score) for task_id, score in queued.items())
    name = f"{VERSION}.entropy-0001"
    store.write_queue(Queue(name, VERSION, "entropy", 1, 0, predictions))
    store.set_current(Current(VERSION, name))
    return name
