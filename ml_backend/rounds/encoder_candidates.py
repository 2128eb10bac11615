"""The models and encoders among which a project's settings leave the choice open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ml_backend.config import ProjectSettings
from ml_backend.encoders import text_vectors
from ml_backend.encoders.registry import AUTO, ENCODERS, choose_encoder
from ml_backend.errors import ConfigurationError
from ml_backend.models.base import Model
from ml_backend.models.registry import model_for_object_tag, models_for


@dataclass(frozen=True)
class Candidate:
    """A model, with the encoder that it reads through."""

    model: type[Model]
    encoder: str
    """Value of the model's hyperparameter ``encoder``; empty where it has none."""
    embedding: str
    """Of the pool: a name in ``ENCODERS``."""

    @property
    def name(self) -> str:
        """What it is called in the store and in messages."""
        return f"{self.model.name} ({self.encoder or self.embedding})"

    def settings(self, settings: ProjectSettings) -> ProjectSettings:
        """The project's settings with this choice made; what is the default anyway stays unsaid.

        A version is known by its settings: a choice that changes nothing must not train a model again.
        """
        changes: dict[str, Any] = {}
        if settings.embedding == AUTO:
            changes["embedding"] = self.embedding
        if self.encoder and self.encoder != _default_encoder(self.model):
            changes["hyperparameters"] = {**settings.hyperparameters, "encoder": self.encoder}
        return settings.override(changes, where="The choice of an encoder")


def candidates(tag: str, settings: ProjectSettings) -> list[Candidate]:
    """What the settings leave open, the preferred first.

    Raises:
        LabelConfigError: no model reads such objects. ConfigurationError: the settings name what cannot be used.
    """
    wanted = settings.image_model if tag == "Image" else settings.text_model
    preferred = model_for_object_tag(tag, wanted)
    models = [preferred]
    if wanted == AUTO and tag == "Image":
        # A plug-in's model is used where it is asked for.
        models += [m for m in models_for(tag).values() if m is not preferred and _own_embedding(m) and not m.missing()]
    found = dict.fromkeys(Candidate(model, *pair) for model in models for pair in _encoders(model, settings))
    fitting = [each for each in found if _fits(each, settings)]
    if not fitting:
        raise ConfigurationError(
            f"Model {preferred.name} cannot be used with the embedding {settings.embedding!r}"
            + (f" and its options {', '.join(settings.embedding_options)}" if settings.embedding_options else "")
            + ": set embedding to auto and remove embedding_options, or name another model."
        )
    return fitting


def with_earlier(options: Sequence[Candidate]) -> list[Candidate]:
    """Candidates and, after them, those with the default encoders of earlier releases, which vectors may be kept of."""
    before = (
        replace(each, encoder=encoder)
        for each in options
        if each.encoder and each.encoder == _default_encoder(each.model)
        for encoder in getattr(each.model, "earlier_encoders", ())
    )
    return list(dict.fromkeys([*options, *before]))


def _fits(candidate: Candidate, settings: ProjectSettings) -> bool:
    """Whether the embedding that the settings want reads the model's items, and knows the options they give it."""
    own = _own_embedding(candidate.model)
    of_others = {_own_embedding(model) for model in models_for(candidate.model.object_tag).values()} - {own, None}
    if own is not None and candidate.embedding in of_others:
        return False
    encoder, _ = choose_encoder(candidate.embedding, candidate.model.object_tag)
    return encoder is None or settings.embedding_options.keys() <= encoder.options().keys()


def _own_embedding(model: type[Model]) -> str | None:
    return getattr(model, "embedding", None)


def _encoders(model: type[Model], settings: ProjectSettings) -> list[tuple[str, str]]:
    """(hyperparameter ``encoder``, embedding) of one model."""
    own = _own_embedding(model)
    if model.object_tag == "Text":
        named = str(settings.hyperparameters.get("encoder", AUTO)) if _has_encoder(model) else AUTO
        if named == AUTO:
            usable = [name for name in text_vectors.PACKAGED if text_vectors.missing(name) is None]
            if not usable:
                return [("", settings.embedding)]
            return [(name if _has_encoder(model) else "", _embedding(settings, name)) for name in usable]
        # The graph sees what the model sees; what sentence-transformers alone knows is no embedding.
        return [(named, _embedding(settings, named if named in ENCODERS else AUTO))]
    encoder = str(settings.hyperparameters.get("encoder", AUTO)) if _has_encoder(model) else ""
    return [(_default_encoder(model) if encoder == AUTO else encoder, _embedding(settings, own or AUTO))]


def _embedding(settings: ProjectSettings, own: str) -> str:
    return own if settings.embedding == AUTO else settings.embedding


def _has_encoder(model: type[Model]) -> bool:
    return "encoder" in model.hyperparameters()


def _default_encoder(model: type[Model]) -> str:
    """What the model takes where nobody names an encoder."""
    default: Any = getattr(model, "default_encoder", lambda: "")
    return str(default())
