"""Embeddings without labels, by name. A new one is a module here and one line in ``ENCODERS``."""

from __future__ import annotations

from typing import Final

from ml_backend.encoders.base import Encoder
from ml_backend.encoders.gradients import Gradients
from ml_backend.encoders.sentences import MiniLm, WordLlama
from ml_backend.errors import ConfigurationError

ENCODERS: Final[dict[str, type[Encoder]]] = {encoder.name: encoder for encoder in (Gradients, MiniLm, WordLlama)}
"""Of those that read the same objects the first that the machine has all for is the default."""
AUTO: Final = "auto"
"""As a setting: the default encoder of the project's objects."""


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
    candidates = [e for e in ENCODERS.values() if e.object_tag == object_tag and name in (AUTO, e.name)]
    lacking = []
    for encoder in candidates:
        reason = encoder.missing()
        if reason is None:
            return encoder, ""
        lacking.append(f"{encoder.name}: {reason}")
    return None, "; ".join(lacking) or f"no embedding reads <{object_tag}> objects"
