"""The models, by name. A new one is a module here, one line in ``MODELS`` and a label config."""

from __future__ import annotations

from typing import Final

from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.models.base import Model
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.sentences import Sentences
from ml_backend.models.torch_parts import resolve_hyperparameters

__all__ = ["AUTO", "MODELS", "model_for_object_tag", "resolve_hyperparameters"]

MODELS: dict[str, type[Model]] = {model.name: model for model in (MnistCnn, Sentences, Headlines)}
"""Of those that read the same objects the first that the machine has all for is the default."""
AUTO: Final = "auto"
"""As a setting: the default model of the project's objects."""


def model_for_object_tag(tag: str, name: str = AUTO) -> type[Model]:
    """The model for a Label Studio object tag, e.g. ``Image``.

    Args:
        tag: what the labeling config shows.
        name: of the model that is preferred, where it reads such objects; or ``auto``.

    Raises:
        LabelConfigError: no model reads such objects; the message lists the tags that one does.
        ConfigurationError: an unknown name, or a model that this machine lacks something for.
    """
    candidates = [model for model in MODELS.values() if model.object_tag == tag]
    if not candidates:
        supported = ", ".join(sorted({f"<{model.object_tag}>" for model in MODELS.values()}))
        raise LabelConfigError(
            f"No model reads <{tag}> objects; use one of {supported} in the project's labeling config"
        )
    if name not in (AUTO, *MODELS):
        raise ConfigurationError(f"Unknown model {name!r}; choose {AUTO}, {', '.join(MODELS)}")
    preferred = MODELS.get(name)
    if preferred not in candidates:
        return next(model for model in candidates if model.missing() is None)
    if lacking := preferred.missing():
        raise ConfigurationError(f"Model {name!r} cannot be used here: {lacking}")
    return preferred
