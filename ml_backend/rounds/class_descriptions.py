"""What each class of a project is called, or described as, and its vector by the project's encoder."""

from __future__ import annotations

from ml_backend.config import ProjectSettings
from ml_backend.encoders.base import Encoder, Rows
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.semi_supervised.class_names import embedded


def descriptions(question: ChoiceQuestion, settings: ProjectSettings) -> list[str]:
    """Of each label in the order of the question: the setting's, else the labeling config's.

    Raises:
        ConfigurationError: the setting names a label that the question does not have.
    """
    given = settings.class_descriptions
    unknown = [label for label in given if label not in question.labels]
    if unknown:
        raise ConfigurationError(
            f"class_descriptions describes {', '.join(map(repr, unknown))}; the labels of the labeling config are "
            + ", ".join(map(repr, question.labels))
        )
    said = question.descriptions or question.labels
    return [given.get(label, "").strip() or text for label, text in zip(question.labels, said, strict=True)]


def names(question: ChoiceQuestion, settings: ProjectSettings, encoder: Encoder) -> Rows | None:
    """Vectors of the descriptions ``[C, D]``; None for encoders that read no texts, or by the project's settings.

    Raises:
        ConfigurationError: as of `descriptions`.
    """
    described = descriptions(question, settings)
    return embedded(encoder, described) if settings.learn_from_names else None
