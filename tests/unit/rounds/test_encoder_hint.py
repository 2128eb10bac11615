"""What a project's items are read with before there are labels, and how a choice is told to a person who labels."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ml_backend.config import ProjectSettings
from ml_backend.errors import BadItemError
from ml_backend.importing.image_files import embedded_image, png_data_uri
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.rounds.encoder_choice import in_words
from ml_backend.rounds.encoder_hint import Looks, looks_of, picture_hint, text_hint
from ml_backend.rounds.encoder_preview import preview

TEXTS = ["sentences (minilm_multilingual)", "sentences (multilingual)", "sentences (minilm)"]
PICTURES = ["mnist_cnn (gradients)", "photos (efficientnet_lite0_lite1)"]
ENGLISH = ["The police have said that all of them are well after the fire", "What you should know about your new phone"]
GERMAN = ["Die Feuerwehr rettet drei Kinder aus dem brennenden Haus", "Was man über das neue Telefon wissen sollte"]
RUSSIAN = ["Пожарные спасли троих детей", "Какой новый телефон лучше купить"]
TOPIC = ChoiceQuestion("topic", "text", "Text", "text", ("a", "b"))
DIGIT = ChoiceQuestion("digit", "image", "Image", "image", ("0", "1"))


@pytest.mark.parametrize(("texts", "expected"), [(ENGLISH, TEXTS[0]), (GERMAN, TEXTS[1]), (RUSSIAN, TEXTS[1])])
def test_english_texts_begin_with_its_encoder_and_others_with_that_of_many_languages(
    texts: list[str], expected: str
) -> None:
    found = text_hint(texts * 5, TEXTS)
    assert found.name == expected
    assert found.told
    assert found.reason.startswith(f"{expected}: ")
    assert found.reason.endswith("; measured as soon as there are labels")


def test_an_encoder_that_is_wanted_and_not_installed_is_named() -> None:
    found = text_hint(GERMAN * 5, ["sentences (minilm)", "sentences (wordllama)"])
    assert found.name == "sentences (minilm)"
    assert "the texts are not English; multilingual cannot be used here" in found.reason
    found = text_hint(ENGLISH * 5, ["sentences (minilm)", "sentences (wordllama)"])
    assert found.name == "sentences (minilm)"
    assert "the texts are English, or many of them; minilm_multilingual cannot be used here" in found.reason


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (Looks(28, 0.0), PICTURES[0]),
        (Looks(28, 40.0), PICTURES[1]),
        (Looks(800, 0.0), PICTURES[1]),
    ],
)
def test_only_small_grey_pictures_are_for_the_network_that_learns_them(looks: Looks, expected: str) -> None:
    assert picture_hint([looks] * 3, PICTURES).name == expected


def test_a_measured_choice_is_told_in_plain_words() -> None:
    right = {"sentences (minilm)": 81, "sentences (multilingual)": 76, "sentences (wordllama)": 70}
    told = "sentences (minilm): guesses 81 of 100 labels from the others; multilingual 76, wordllama 70"
    assert in_words("sentences (minilm)", right, 100) == told


def test_a_rival_of_another_model_keeps_its_whole_name_and_one_that_is_a_little_ahead_is_explained() -> None:
    told = "mnist_cnn (gradients): guesses 30 of 40 labels from the others; photos (efficientnet_lite0_lite1) 31"
    right = {"mnist_cnn (gradients)": 30, "photos (efficientnet_lite0_lite1)": 31}
    assert in_words("mnist_cnn (gradients)", right, 40) == f"{told}, not clearly more"


def photograph(value: int) -> str:
    """A colour picture as it stands in a task."""
    pixels = np.full((300, 200, 3), (value, 90, 200 - value), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def digit(value: int) -> str:
    """A small grey one."""
    pixels: NDArray[np.uint8] = np.full((28, 28), value, np.uint8)
    return png_data_uri(pixels)


def test_an_import_is_told_what_reads_its_texts() -> None:
    assert preview(TOPIC, ProjectSettings(), ENGLISH * 5).startswith("Read with sentences (minilm_multilingual): ")
    assert preview(TOPIC, ProjectSettings(), RUSSIAN * 5).startswith("Read with sentences (multilingual): 100% of")


def test_an_import_is_told_what_reads_its_pictures() -> None:
    assert "mnist_cnn" in preview(DIGIT, ProjectSettings(), [digit(value) for value in range(60)]).split(":")[0]
    photographs = [*map(photograph, range(60)), "data:image/png;base64,no picture"]
    assert "photos" in preview(DIGIT, ProjectSettings(), photographs).split(":")[0]


def test_where_nothing_can_be_looked_at_the_candidates_are_named() -> None:
    by_url = preview(DIGIT, ProjectSettings(), ["https://pictures.example.org/1.jpg"])
    assert "mnist_cnn" in by_url
    assert "the first round looks at some pictures" in by_url
    texts = preview(TOPIC, ProjectSettings(), [])
    every = "minilm_multilingual or minilm or wordllama or multilingual"
    assert texts.startswith(f"Read with sentences ({every}): the first texts tell")


def test_a_choice_by_hand_is_told_as_one() -> None:
    by_hand = ProjectSettings(hyperparameters={"encoder": "wordllama"}, embedding="wordllama")
    told = "Read with sentences (wordllama): the settings and what is installed leave no other."
    assert preview(TOPIC, by_hand, RUSSIAN) == told


def test_a_look_at_a_file_starts_no_other_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an EPS file Pillow would call Ghostscript, whatever the file is called."""
    called = tmp_path / "called"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {called}\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n"
    file = tmp_path / "picture.png"
    file.write_bytes(eps)
    with pytest.raises(BadItemError, match="it is EPS"):
        looks_of(eps)
    with pytest.raises(BadItemError, match="it is EPS"):
        embedded_image(file)
    assert not called.exists()


def test_a_bomb_is_not_decoded_to_be_looked_at() -> None:
    content = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(content, "PNG")
    with pytest.raises(BadItemError, match="too large"):
        looks_of(content.getvalue())
