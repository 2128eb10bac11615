"""Where the description of a class comes from."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.config import ProjectSettings
from ml_backend.encoders.sentences import WordLlama
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.rounds.class_descriptions import descriptions, names

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
