"""What a project's settings leave to choose: only models that read what the wanted embedding reads."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.config import ProjectSettings
from ml_backend.errors import ConfigurationError
from ml_backend.rounds.encoder_choice import candidates, with_earlier


def names(tag: str, **settings: Any) -> list[str]:
    return [each.name for each in candidates(tag, ProjectSettings(**settings))]


def test_pictures_are_read_by_either_model_where_the_settings_say_nothing() -> None:
    assert names("Image") == ["mnist_cnn (gradients)", "photos (efficientnet_lite1)"]


@pytest.mark.parametrize(
    "settings", [{"embedding": "gradients"}, {"embedding_options": {"rotation": 5.0}}, {"image_model": "mnist_cnn"}]
)
def test_a_projects_embedding_and_its_options_keep_the_model_that_fits_them(settings: dict[str, Any]) -> None:
    """Set before there was another model, they go on working."""
    assert names("Image", **settings) == ["mnist_cnn (gradients)"]


def test_the_embedding_of_photographs_keeps_their_model() -> None:
    assert names("Image", embedding="photos") == ["photos (efficientnet_lite1)"]


def test_a_model_with_the_embedding_of_another_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Model photos cannot be used with the embedding 'gradients'"):
        names("Image", image_model="photos", embedding="gradients")


def test_options_that_no_embedding_of_texts_has_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="its options rotation"):
        names("Text", embedding_options={"rotation": 5.0})


def test_a_set_embedding_of_n_grams_is_one_choice() -> None:
    assert names("Text", text_model="headlines", embedding="minilm") == ["headlines (minilm)"]


def test_vectors_that_were_kept_by_an_earlier_default_are_still_known() -> None:
    options = candidates("Image", ProjectSettings())
    assert [each.name for each in with_earlier(options)] == [*names("Image"), "photos (efficientnet_lite0)"]
    before = with_earlier(options)[-1]
    assert before.settings(ProjectSettings()).hyperparameters == {"encoder": "efficientnet_lite0"}
    named = candidates("Image", ProjectSettings(image_model="photos", hyperparameters={"encoder": "timm:tiny"}))
    assert with_earlier(named) == named, "an encoder that somebody named is the only one"
    assert with_earlier(candidates("Text", ProjectSettings())) == candidates("Text", ProjectSettings())
