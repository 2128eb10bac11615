"""Two networks may make as many numbers of a picture: nothing of one is taken for the other's."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.encoders import picture_vectors
from ml_backend.encoders.photos import Photos as Centring
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.models.photos import Photos
from ml_backend.models.registry import MODELS
from ml_backend.rounds.training import fingerprint_of
from ml_backend.rounds.version_reading import as_read_by, reads_alike
from ml_backend.rounds.workspace import RoundProject
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, made_of
from ml_backend.store.manifest import Manifest

QUESTION = parse_label_config(
    '<View><Image name="i" value="$i"/><Choices name="c" toName="i">'
    '<Choice value="a"/><Choice value="b"/></Choices></View>'
)
NOTHING = cast(Any, None)


def project(model: Any = Photos, **hyperparameters: Any) -> RoundProject:
    pool = cast(Any, SimpleNamespace(training=[], open=[]))
    settings = ProjectSettings(hyperparameters=hyperparameters)
    return RoundProject(NOTHING, NOTHING, QUESTION, settings, pool, NOTHING, model)


def version(model: str, **hyperparameters: Any) -> Manifest:
    return cast(
        Manifest, SimpleNamespace(name="photos-0001", model=model, training={"hyperparameters": hyperparameters})
    )


def test_a_version_that_was_trained_through_another_network_reads_other_items() -> None:
    assert reads_alike(version("photos", encoder=picture_vectors.DEFAULT), project())
    assert not reads_alike(version("photos", encoder=picture_vectors.EARLIER), project())
    assert reads_alike(version("photos", encoder=picture_vectors.EARLIER), project(encoder=picture_vectors.EARLIER))
    assert not reads_alike(version("mnist_cnn"), project())
    assert reads_alike(version("mnist_cnn"), project(MODELS["mnist_cnn"]))


def test_a_version_is_served_through_its_own_network() -> None:
    now = replace(project(), items={1: np.zeros(3, np.float32)})
    seen = as_read_by(version("photos", encoder=picture_vectors.EARLIER), now, NOTHING)
    assert seen.reader.name == picture_vectors.EARLIER
    assert seen.items == {}, "what was read through the other one is not shown to it"
    assert as_read_by(version("photos", encoder=picture_vectors.DEFAULT), now, NOTHING) is now
    assert as_read_by(version("mnist_cnn"), now, NOTHING) is now


def test_a_default_that_changes_is_a_reason_to_train_again() -> None:
    """The settings say nothing of it."""
    now = project()
    before = replace(now)
    before.__dict__["reader"] = Photos.reader({"encoder": picture_vectors.EARLIER})  # as its default was then
    assert before.settings == now.settings
    assert fingerprint_of(before) != fingerprint_of(now)
    assert project(MODELS["mnist_cnn"]).read_by == "", "what is always read alike keeps its versions"


def test_an_embedding_knows_which_network_its_items_are_of() -> None:
    items = [np.eye(3, dtype=np.float32)[i] for i in range(3)]
    kept = PoolEmbedding.learn(Centring, items, seed=0, read_by="one")
    assert kept.made_of == made_of(Centring, 0, None, "one") != made_of(Centring, 0, None, "other")
    assert made_of(Centring, 0, None) == {"encoder": "photos", "seed": 0, "options": {}}, "as it was kept before"
