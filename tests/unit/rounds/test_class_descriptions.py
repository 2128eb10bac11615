"""Where the description of a class comes from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from ml_backend.config import ProjectSettings
from ml_backend.encoders.base import Rows
from ml_backend.encoders.sentences import WordLlama
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.rounds import training
from ml_backend.rounds.class_descriptions import descriptions, names
from ml_backend.rounds.project import RoundProject
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled

CONFIG = """<View><Text name="t" value="$text"/><Choices name="c" toName="t">
<Choice value="Sport" alias="1" hint="matches, teams and players"/><Choice value="Money" alias="2"/></Choices></View>"""
QUESTION = parse_label_config(CONFIG)


def test_a_hint_describes_else_the_name_and_the_setting_before_both() -> None:
    assert descriptions(QUESTION, ProjectSettings()) == ["matches, teams and players", "Money"]
    by_hand = ProjectSettings(class_descriptions={"2": "companies and markets", "1": " "})
    assert descriptions(QUESTION, by_hand) == ["matches, teams and players", "companies and markets"]


def test_a_question_that_an_older_release_stored_has_its_labels() -> None:
    old = ChoiceQuestion("c", "t", "Text", "text", ("a", "b"))
    assert descriptions(old, ProjectSettings()) == ["a", "b"]


def test_a_label_that_is_none_is_named() -> None:
    wrong = ProjectSettings(class_descriptions={"Sport": "matches"})
    with pytest.raises(ConfigurationError, match="describes 'Sport'; the labels of the labeling config are '1', '2'"):
        descriptions(QUESTION, wrong)


def test_one_setting_switches_names_off() -> None:
    vectors = names(QUESTION, ProjectSettings(), WordLlama())
    assert vectors is not None
    assert np.array_equal(vectors, WordLlama().embed(["matches, teams and players", "Money"]))
    assert names(QUESTION, ProjectSettings(learn_from_names=False), WordLlama()) is None


def fingerprint_of(settings: ProjectSettings, vectors: Rows | None) -> str:
    """Of the version that a round would train."""
    embedding = PoolEmbedding.learn(WordLlama, ["a match", "a market"], seed=0)
    unlabelled = Unlabelled(embedding, np.full(2, 0.5), names=vectors)
    pool = SimpleNamespace(training=[], open=range(1000))
    model = SimpleNamespace(name="sentences")
    return training.fingerprint_of(
        cast(
            "RoundProject",
            SimpleNamespace(
                question=QUESTION, settings=settings, unlabelled=unlabelled, pool=pool, model=model, read_by=""
            ),
        )
    )


def test_another_description_is_a_reason_to_train_again_where_descriptions_count() -> None:
    plain, changed = ProjectSettings(), ProjectSettings(class_descriptions={"2": "companies"})
    vectors = names(QUESTION, plain, WordLlama())
    assert fingerprint_of(plain, vectors) == fingerprint_of(plain, vectors)
    assert fingerprint_of(plain, vectors) != fingerprint_of(changed, vectors)
    assert fingerprint_of(plain, None) == fingerprint_of(changed, None)
