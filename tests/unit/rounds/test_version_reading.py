"""Two networks may make as many numbers of a picture: nothing of one is taken for the other's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.encoders import picture_vectors
from ml_backend.encoders.photos import Photos as Centring
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.models.photos import Photos
from ml_backend.models.registry import MODELS
from ml_backend.records import Wanted
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.training import fingerprint_of
from ml_backend.rounds.version_reading import as_read_by, reads_alike
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, made_of
from ml_backend.store.manifest import Manifest
from ml_backend.store.versions import answers

QUESTION = parse_label_config(
    '<View><Image name="i" value="$i"/><Choices name="c" toName="i">'
    '<Choice value="a"/><Choice value="b"/></Choices></View>'
)
NOTHING = cast(Any, None)


def project(model: Any = Photos, **hyperparameters: Any) -> RoundProject:
    pool = cast(Any, SimpleNamespace(training=[], open=[]))
    settings = ProjectSettings(hyperparameters=hyperparameters)
    return RoundProject(NOTHING, NOTHING, QUESTION, settings, pool, NOTHING, model)


def version(
    model: str, settings: Mapping[str, Any] = {}, question: ChoiceQuestion = QUESTION, **hyperparameters: Any
) -> Manifest:
    asked = {name: getattr(question, name) for name in ("object_tag", "labels", "multiple", "control")}
    told = {"name": "photos-0001", "model": model, "settings": settings, **asked}
    return cast(Manifest, SimpleNamespace(**told, training={"hyperparameters": hyperparameters}))


def test_a_version_that_was_trained_through_another_network_reads_other_items() -> None:
    assert reads_alike(version("photos", encoder=picture_vectors.DEFAULT), project())
    assert not reads_alike(version("photos", encoder=picture_vectors.LITE0), project())
    assert reads_alike(version("photos", encoder=picture_vectors.LITE0), project(encoder=picture_vectors.LITE0))
    assert not reads_alike(version("mnist_cnn"), project())
    assert reads_alike(version("mnist_cnn"), project(MODELS["mnist_cnn"]))


def test_a_version_is_served_through_its_own_network() -> None:
    now = replace(project(), items={1: np.zeros(3, np.float32)})
    seen = as_read_by(version("photos", encoder=picture_vectors.LITE0), now, NOTHING)
    assert seen.reader.name == picture_vectors.LITE0
    assert seen.items == {}, "what was read through the other one is not shown to it"
    assert as_read_by(version("photos", encoder=picture_vectors.DEFAULT), now, NOTHING) is now


def test_a_version_of_another_model_reads_by_the_settings_that_it_was_trained_under() -> None:
    now = replace(project(encoder=picture_vectors.LITE0), items={1: np.zeros(3, np.float32)})
    options = {"embedding": "gradients", "embedding_options": {"shift": 0.1}, "hyperparameters": {"steps": 5}}
    for kept, wanted in (({}, {}), (options, options)):
        seen = as_read_by(version("mnist_cnn", kept), now, NOTHING)
        assert (seen.model, seen.items) == (MODELS["mnist_cnn"], {})
        told = seen.settings.model_dump()
        assert {name: told[name] for name in options} == {
            "embedding": "auto",
            "embedding_options": {},
            "hyperparameters": {},
            **wanted,
        }


def test_vectors_of_other_parts_are_no_answer_to_the_question() -> None:
    xml = """<View><Text name="t" value="$t"/><Image name="i" value="$i"/><Choices name="c" toName="t">
    <Choice value="a"/><Choice value="b"/></Choices></View>"""
    sources: list[dict[str, Any]] = [{"embedding_field": "e"}, {"embedding_field": "f"}]
    sources += [{"objects": "t,i"}, {"objects": "i,t"}]
    for asked in sources:
        question = parse_label_config(xml, wanted=Wanted(**asked))
        for told in sources:
            manifest = version("vectors", {"objects": "", "embedding_field": "", **told}, question)
            assert answers(manifest, question) == (asked == told)
        assert answers(version("vectors", {}, question), question), "an older release kept no settings"


def test_a_default_that_changes_is_a_reason_to_train_again() -> None:
    """The settings say nothing of it."""
    now = project()
    before = replace(now)
    before.__dict__["reader"] = Photos.reader({"encoder": picture_vectors.LITE0})  # as its default was then
    assert before.settings == now.settings
    assert fingerprint_of(before) != fingerprint_of(now)
    assert project(MODELS["mnist_cnn"]).read_by == "", "what is always read alike keeps its versions"


def test_an_embedding_knows_which_network_its_items_are_of() -> None:
    items = [np.eye(3, dtype=np.float32)[i] for i in range(3)]
    kept = PoolEmbedding.learn(Centring, items, seed=0, read_by="one")
    assert kept.made_of == made_of(Centring, 0, None, "one") != made_of(Centring, 0, None, "other")
    assert made_of(Centring, 0, None) == {"encoder": "photos", "seed": 0, "options": {}}, "as it was kept before"
