"""The settings that "Train now" offers, with their defaults, and what is wrong with a typed value."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.config import ProjectSettings, Settings
from ml_backend.dashboard.reading.common import about
from ml_backend.encoders.registry import ENCODERS
from ml_backend.encoders.text_vectors import PACKAGED
from ml_backend.errors import ActiveLearningError
from ml_backend.models.base import Model
from ml_backend.models.checks import bounds_of, resolve_hyperparameters
from ml_backend.models.registry import AUTO, MODELS, model_for_object_tag
from ml_backend.store.project_store import ProjectStore
from ml_backend.strategies.registry import STRATEGIES

OFFERED: Final = {
    "strategy": "Strategy",
    "text_model": "Model of texts",
    "image_model": "Model of images",
    "embedding": "What compares tasks",
    "queue_size": "Tasks in a queue",
    "samples": "Guesses a task",
    "control_share": "Share of control tasks",
    "train_after_labels": "Labels that start a round",
    "seed": "Number that fixes chance",
    "recheck": "Doubtful labels to list",
}
"""Project setting → its label in the form."""
TUNED: Final = {
    "steps": "Training steps",
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "weight_decay": "Weight decay",
    "penalty": "Penalty of large weights",
    "encoder": "Encoder of texts",
    "dropout": "Share of the network left out in training",
    "feature_dropout": "Share of the words left out in training",
    "label_smoothing": "Label smoothing",
    "warm_starts": "Versions that go on from the one before",
}
"""Hyperparameter → its label."""
NOTES: Final = {
    "strategy": "What is asked first. Or type a mixture, such as entropy:0.8,random:0.2.",
    "text_model": "auto: the first that is installed",
    "image_model": "auto: the one that guesses the labels best, and before there are labels by the images' looks",
    "embedding": "By its numbers tasks are alike or not, also those without a label; auto: the best that is there",
    "samples": "Only some strategies use it: how often the model guesses a task, each time with other parts left out",
    "control_share": "Tasks drawn at random and shown without a guess; the rest is measured against them",
    "seed": "The same number, the same training and order",
    "warm_starts": "In a row, before one is trained from scratch. 0: each is. Going on takes a third of the time.",
    "steps": "0 chooses by the number of labels. One epoch is labels / batch size steps.",
    "encoder": f"{AUTO}, {', '.join(PACKAGED)}, or sentence_transformers: and a name or folder (ENCODER_FOLDERS).",
}
PREFIX: Final = "hyperparameters."
MODEL_SETTINGS: Final = {"Text": "text_model", "Image": "image_model"}
"""Object tag → the setting that names its model."""


def read_form(settings: Settings, store: ProjectStore) -> list[dict[str, Any]]:
    """A row for each setting: ``name``, ``label``, ``value`` (None: the default applies), ``default``, ``note``.

    For settings that name something registered, ``options`` are pairs of a name and what it does, and ``typed`` says
    whether other values are possible.
    """
    stored, defaults = store.extra_params(), settings.project_defaults()
    options = _options(about(store).get("object_tag"))
    rows: list[dict[str, Any]] = []
    for name, label in OFFERED.items():
        if name in MODEL_SETTINGS.values() and not options[name]:
            continue
        note = NOTES.get(name) or ProjectSettings.model_fields[name].description or ""
        row = _row(name, label, stored.get(name), getattr(defaults, name), note)
        rows.append(row | ({"options": options[name], "typed": name == "strategy"} if name in options else {}))
    tuned = stored.get("hyperparameters")
    known = tuned if isinstance(tuned, Mapping) else {}
    for name, default in hyperparameters(settings, store).items():
        note = NOTES.get(name, "") if isinstance(default, str) else f"{bounds_of(name)}. {NOTES.get(name, '')}".strip()
        rows.append(_row(PREFIX + name, TUNED.get(name, name), known.get(name), default, note))
    return rows


def setting_label(name: str) -> str:
    """What the form calls a setting, or a hyperparameter named by a comparison of versions."""
    return OFFERED.get(name) or TUNED.get(name.removeprefix("hyperparameter ")) or name


def hyperparameters(settings: Settings, store: ProjectStore) -> dict[str, Any]:
    """Names and defaults for the project's model; empty if no round has read the question yet."""
    try:
        return dict(_model(settings, store).hyperparameters())
    except (KeyError, ActiveLearningError):
        return {}


def _model(settings: Settings, store: ProjectStore) -> type[Model]:
    """The project's model.

    Raises:
        KeyError: no round has read the question yet.
        ActiveLearningError: the stored settings fit no model.
    """
    tag = about(store)["object_tag"]
    name = MODEL_SETTINGS.get(tag, "text_model")
    preferred = str(store.extra_params().get(name, getattr(settings.project_defaults(), name)))
    return model_for_object_tag(tag, preferred)


def _options(tag: str | None) -> dict[str, list[tuple[str, str]]]:
    """The values that each setting can have: strategies, and models and encoders for the project's objects.

    Before a round has read what these are, those for all objects.
    """
    models = {
        setting: [name for name, model in MODELS.usable().items() if model.object_tag == kind and tag in (None, kind)]
        for kind, setting in MODEL_SETTINGS.items()
    }
    encoders = [name for name, encoder in ENCODERS.usable().items() if tag in (None, encoder.object_tag)]
    return {
        "strategy": [(name, strategy.when) for name, strategy in STRATEGIES.usable().items()],
        **{setting: _described(names, MODELS.usable()) for setting, names in models.items()},
        "embedding": _described(encoders, ENCODERS.usable()),
    }


def _described(names: Sequence[str], entries: Mapping[str, object]) -> list[tuple[str, str]]:
    """`AUTO` and the names, each with the first sentence of its docstring; empty if there are no names."""
    told = [(name, (inspect.getdoc(entries[name]) or "").partition("\n")[0].rstrip(".")) for name in names]
    return [(AUTO, "chosen for this project"), *told] if names else []


def changes(
    settings: Settings, store: ProjectStore, typed: Mapping[str, str | None]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What typed values change in the extra params, and what is wrong with each wrong one.

    A value that equals the default, or an empty one, removes the setting, so that the same model is not trained twice
    under two descriptions. Names that were not offered are wrong.
    """
    known = {row["name"]: row for row in read_form(settings, store)}
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, text in typed.items():
        row = known.get(name)
        if row is None:
            problems[name] = "There is no such setting."
            continue
        value = _value(text)
        if value is not None:
            problem = _problem(settings, store, name, value)
            if problem:
                problems[name] = problem
                continue
            value = None if value == row["default"] else value
        if value != row["value"]:
            if name.startswith(PREFIX):
                found.setdefault("hyperparameters", {})[name.removeprefix(PREFIX)] = value
            else:
                found[name] = value
    return found, problems


def _row(name: str, label: str, value: Any, default: Any, note: str) -> dict[str, Any]:
    return {"name": name, "label": label, "value": value, "default": default, "note": note}


def _value(text: str | None) -> Any:
    """A number if the text is one, otherwise the text; None if it is empty."""
    text = (text or "").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def _problem(settings: Settings, store: ProjectStore, name: str, value: Any) -> str | None:
    try:
        if name.startswith(PREFIX):
            own = name.removeprefix(PREFIX)
            model = _model(settings, store)
            resolve_hyperparameters(model.name, model.hyperparameters(), {own: value})
            settings.check_encoder(value if own == "encoder" else None)
        else:
            settings.project_defaults().override({name: value}, where="")
    except ActiveLearningError as exc:
        reason = str(exc).removeprefix(": ").removeprefix(f"{name}: ")
        if name.startswith(PREFIX):  # "mnist_cnn: hyperparameter steps must be ..."
            reason = reason.partition(f" hyperparameter {name.removeprefix(PREFIX)} ")[2] or reason
        return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
    return None
