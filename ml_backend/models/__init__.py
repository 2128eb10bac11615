"""The models, by name. A new one is a module here, one line in ``MODELS`` and a label config."""

from __future__ import annotations

from ml_backend.errors import LabelConfigError
from ml_backend.models._shared import resolve_hyperparameters
from ml_backend.models.base import Model
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn

__all__ = ["MODELS", "model_for_object_tag", "resolve_hyperparameters"]

MODELS: dict[str, type[Model]] = {model.name: model for model in (MnistCnn, Headlines)}


def model_for_object_tag(tag: str) -> type[Model]:
    """The model for a Label Studio object tag, e.g. ``Image``.

    Raises:
        LabelConfigError: no model reads such objects; the message lists the tags that one does.
    """
    for model in MODELS.values():
        if model.object_tag == tag:
            return model
    supported = ", ".join(sorted(f"<{model.object_tag}>" for model in MODELS.values()))
    raise LabelConfigError(f"No model reads <{tag}> objects; use one of {supported} in the project's labeling config")
