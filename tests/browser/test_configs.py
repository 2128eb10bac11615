"""Wherever a labeling config is accepted, Label Studio's page shows the question, the text, and our guess ticked."""

from dataclasses import replace

import pytest
from support.generated import accepted_configs
from support.places import REPOSITORY
from support.shown_configs import shown, stored

from ml_backend.label_studio.labeling_config import parse_label_config

CASES = REPOSITORY / "tests" / "data" / "cases"
TEXT = "what annotators read"


@pytest.mark.parametrize(
    "name", ["lowercase_tags.xml", "nested_field.xml", "encoding_base64.xml", "allownested_flat.xml"]
)
def test_configs_of_public_reports(page, label_studio, name):
    xml = (CASES / name).read_text(encoding="utf-8")
    question = parse_label_config(xml)
    assert shown(page, label_studio, xml, question, TEXT, stored(question, TEXT)) == ""


def test_a_guess_in_the_other_form_is_not_ticked(page, label_studio):
    """Why guesses are written one by one where answers are nested: Label Studio's import takes only the other form."""
    xml = (CASES / "allownested_flat.xml").read_text(encoding="utf-8")
    flat = replace(parse_label_config(xml), nested=False)
    assert "Timeout" in shown(page, label_studio, xml, flat, TEXT, TEXT)


def test_configs_made_by_chance(page, label_studio):
    problems = {}
    for xml, config in accepted_configs(6):
        if not config.question.by_url and (
            wrong := shown(page, label_studio, xml, config.question, TEXT, stored(config.question, TEXT))
        ):
            problems[xml] = wrong
    assert problems == {}
