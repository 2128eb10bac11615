"""Embeddings without labels, by name.

Add one: a module here and a line in ``ENCODERS``; or, from another package, an entry point in the group
``ml_backend.encoders``. Its class says which objects it reads.
"""

from __future__ import annotations

from typing import Any, Final

from ml_backend.encoders.base import Encoder
from ml_backend.errors import ConfigurationError
from ml_backend.registry import Registry, first_usable, lacking_members

AUTO: Final = "auto"
"""As a setting: the default encoder of the project's objects."""


def _problem(name: str, entry: Any) -> str | None:
    return lacking_members(entry, Encoder, name)


ENCODERS: Final[Registry[type[Encoder]]] = Registry(
    "encoder",
    "ml_backend.encoders",
    {
        "gradients": "ml_backend.encoders.gradients:Gradients",
        "photos": "ml_backend.encoders.photos:Photos",
        "minilm_multilingual": "ml_backend.encoders.sentences:MiniLmMultilingual",
        "minilm": "ml_backend.encoders.sentences:MiniLm",
        "wordllama": "ml_backend.encoders.sentences:WordLlama",
        "multilingual": "ml_backend.encoders.sentences:Multilingual",
        "vectors": "ml_backend.encoders.vectors:Vectors",
    },
    _problem,
)
"""Of those that read the same objects the first that the machine has all for is the default."""


def check_encoder_name(name: str) -> None:
    """See to it that a setting names an encoder, or ``auto``.

    Raises:
        ConfigurationError: it does not; the message lists those that there are. PluginError: its plug-in is broken.
    """
    if name != AUTO and name not in ENCODERS:
        raise ConfigurationError(f"must be one of: {AUTO}, {', '.join(ENCODERS)}")
    if name != AUTO:
        ENCODERS[name]


def choose_encoder(name: str, object_tag: str) -> tuple[type[Encoder] | None, str]:
    """The encoder of a project and, where there is none, why.

    Args:
        name: a name in ``ENCODERS``, or ``auto``.
        object_tag: what the project shows, e.g. ``Image``.

    Raises:
        ConfigurationError: an unknown name, or an encoder of other objects.
    """
    if name != AUTO and name not in ENCODERS:
        raise ConfigurationError(f"Unknown embedding {name!r}; choose one of: {AUTO}, {', '.join(ENCODERS)}")
    if name != AUTO and ENCODERS[name].object_tag != object_tag:
        raise ConfigurationError(f"Embedding {name!r} reads <{ENCODERS[name].object_tag}>, not <{object_tag}> objects")
    usable = ENCODERS.usable() if name == AUTO else {name: ENCODERS[name]}
    found, lacking = first_usable({n: encoder for n, encoder in usable.items() if encoder.object_tag == object_tag})
    return found, lacking if found or lacking else f"no embedding reads <{object_tag}> objects"
