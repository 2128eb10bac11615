"""The models, by name.

Add one: a module here and a line in ``MODELS``; or, from another package, an entry point in the group
``ml_backend.models``. Its class says which objects it reads. Settings, contract tests and dashboard follow the
registry.
"""

from __future__ import annotations

from typing import Any, Final

from ml_backend.errors import ConfigurationError, LabelConfigError
from ml_backend.models.base import Model
from ml_backend.registry import Registry, first_usable, lacking_members

AUTO: Final = "auto"
"""As a setting: the default model of the project's objects."""


def _problem(name: str, entry: Any) -> str | None:
    return lacking_members(entry, Model, name)


MODELS: Final[Registry[type[Model]]] = Registry(
    "model",
    "ml_backend.models",
    {
        "mnist_cnn": "ml_backend.models.mnist_cnn:MnistCnn",
        "photos": "ml_backend.models.photos:Photos",
        "sentences": "ml_backend.models.sentences:Sentences",
        "headlines": "ml_backend.models.headlines:Headlines",
        "vectors": "ml_backend.models.vectors:Vectors",
    },
    _problem,
)
"""Of those that read the same objects the first that the machine has all for is the default."""


def models_for(tag: str) -> dict[str, type[Model]]:
    """The models that read a Label Studio object tag, e.g. ``Image``, by name, the preferred first."""
    return {name: model for name, model in MODELS.usable().items() if model.object_tag == tag}


def check_model_name(name: str, tag: str) -> None:
    """See to it that a setting names a model of such objects, or ``auto``.

    Raises:
        ConfigurationError: it does not; the message lists those that there are. PluginError: its plug-in is broken.
    """
    if name != AUTO and (name not in MODELS or MODELS[name].object_tag != tag):
        raise ConfigurationError(f"must be one of: {', '.join((AUTO, *models_for(tag)))}")


def model_for_object_tag(tag: str, name: str = AUTO) -> type[Model]:
    """The model for a Label Studio object tag, e.g. ``Image``.

    Args:
        tag: what the labeling config shows.
        name: of the model that is preferred, where it reads such objects; or ``auto``.

    Raises:
        LabelConfigError: no model reads such objects; the message lists the tags that one does.
        ConfigurationError: an unknown name, or a model that this machine lacks something for.
    """
    candidates = models_for(tag)
    if not candidates:
        supported = ", ".join(sorted({f"<{model.object_tag}>" for model in MODELS.usable().values()}))
        raise LabelConfigError(
            f"No model reads <{tag}> objects; use one of {supported} in the project's labeling config"
        )
    if name not in (AUTO, *MODELS):
        raise ConfigurationError(f"Unknown model {name!r}; choose {AUTO}, {', '.join(MODELS)}")
    if name == AUTO or MODELS[name].object_tag != tag:
        found, lacking = first_usable(candidates)
        if found is None:
            raise ConfigurationError(f"No model can be used here: {lacking}")
        return found
    if reason := MODELS[name].missing():
        raise ConfigurationError(f"Model {name!r} cannot be used here: {reason}")
    return MODELS[name]
