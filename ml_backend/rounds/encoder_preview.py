"""Which model and encoder a project will begin with, told where it is made or filled: before its first round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ml_backend.config import ProjectSettings, Settings
from ml_backend.errors import BadItemError
from ml_backend.label_studio.client import BACKEND_TITLE, LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import decode_data_uri
from ml_backend.rounds.encoder_candidates import Candidate, candidates
from ml_backend.rounds.encoder_hint import LOOKED_AT, Looks, looks_of, picture_hint, text_hint
from ml_backend.rounds.extra_params import read_extra_params

EMBEDDED: Final = "data:"
"""Begins the value of a picture that stands in the task itself."""


def settings_of(settings: Settings, client: LabelStudioClient, project_id: int) -> ProjectSettings:
    """A project's settings as its backend's record in Label Studio has them; the defaults where none is connected.

    Raises:
        ConfigurationError: they are wrong. LabelStudioError: Label Studio failed.
    """
    rows = [row for row in client.backends(project_id) if row["title"] == BACKEND_TITLE]
    params = read_extra_params(rows[0].get("extra_params")) if rows else {}
    return settings.project_defaults().override(params, where=f"Extra params of project {project_id}")


def preview(question: ChoiceQuestion, settings: ProjectSettings, values: Sequence[str]) -> str:
    """What reads the project's items at first, and why, in a line.

    Args:
        question: what the project asks.
        settings: of the project.
        values: texts, or URLs of pictures; those that hold the picture itself are looked at.

    Raises:
        LabelConfigError: no model reads such objects. ConfigurationError: the settings name what cannot be used.
    """
    if question.parts:
        return f"Read with {candidates(question.object_tag, settings)[0].model.name}: {question.about}."
    options = candidates(question.object_tag, settings)
    names = [option.name for option in options]
    if len(names) == 1:
        return f"Read with {names[0]}: the settings and what is installed leave no other."
    if question.object_tag != "Image" and values:
        return f"Read with {text_hint(values, names).reason}."
    looks = list(_looks(values)) if question.object_tag == "Image" else []
    if looks:
        return f"Read with {picture_hint(looks, names).reason}."
    by = "the first round looks at some pictures" if question.object_tag == "Image" else "the first texts tell"
    return f"Read with {_either(options)}: {by}, and labels decide as soon as there are enough."


def _either(options: Sequence[Candidate]) -> str:
    """Their names, those of one model together: "sentences (minilm or wordllama)"."""
    encoders: dict[str, list[str]] = {}
    for option in options:
        encoders.setdefault(option.model.name, []).append(option.encoder or option.embedding)
    return " or ".join(f"{model} ({' or '.join(names)})" for model, names in encoders.items())


def _looks(values: Sequence[str]) -> Iterator[Looks]:
    embedded = [value for value in values if value.startswith(EMBEDDED)]
    step = max(1, len(embedded) // LOOKED_AT)
    for value in embedded[::step][:LOOKED_AT]:
        try:
            yield looks_of(decode_data_uri(value))
        except BadItemError:
            continue  # the round that reads it says what is wrong with it
