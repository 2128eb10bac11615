"""Which model and encoder suit a project's items, where its settings leave that open: measured, and kept.

Before there are enough labels the pool's own looks decide (`hint`). From `ENOUGH_LABELS` on, each encoder is measured
on them (`semi_supervised.encoder_choice`), again whenever their number has grown by `GROWTH`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.encoders import text_vectors
from ml_backend.encoders.registry import AUTO, ENCODERS, choose_encoder
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.models.base import Model
from ml_backend.models.registry import model_for_object_tag, models_for
from ml_backend.records import Task
from ml_backend.rounds.encoder_hint import hint
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.workspace import RoundProject, read_tasks, targets_of
from ml_backend.semi_supervised.encoder_choice import ENOUGH_LABELS, best_encoder, left_out_right
from ml_backend.semi_supervised.pool_embedding import digest

DOCUMENT: Final = "encoder_choice.json"
SAMPLE: Final = 300
"""Open tasks that fill the neighbour graph of a measurement."""
MOST_LABELS: Final = 300
"""Labels that are measured on, the newest tasks first."""
GROWTH: Final = 1.5
"""Growth of the labels after which they are measured on again."""


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


@dataclass(frozen=True)
class Choice:
    """What a project uses, and why."""

    candidate: Candidate
    reason: str
    """A sentence; empty where there was nothing to choose."""


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
            + ": set embedding to auto and take embedding_options away, or name another model."
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
        return [(named, settings.embedding)]
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


def choose(project: RoundProject, recorder: Recorder, *, dry_run: bool) -> RoundProject:
    """The project with its model and encoder chosen, and the choice in the report and the store.

    Args:
        project: as read; its model is the preferred one.
        recorder: takes the reason, and times a measurement.
        dry_run: write nothing to the store.
    """
    options = candidates(project.question.object_tag, project.settings)
    if len(options) == 1:
        return _with(project, options[0])
    known = _document(project)
    by_name = {option.name: option for option in options}
    labels = len(project.pool.training)
    if labels < ENOUGH_LABELS or len({label for _, label in project.pool.training}) < 2:
        chosen = _hinted(project, by_name, known)
    elif known.get("choice") in by_name and labels < GROWTH * int(known.get("labels", 0)):
        chosen = Choice(by_name[known["choice"]], str(known.get("reason", "")))
    else:
        with recorder.step("encoder") as step:
            chosen, known = _measured(project, by_name, known, recorder)
            step.detail = chosen.reason
        if not dry_run:
            project.store.write_document(DOCUMENT, known)
    recorder.report.encoder_choice = chosen.reason
    if chosen.reason and not known.get("labels") and not dry_run:
        project.store.write_document(DOCUMENT, {"choice": chosen.candidate.name, "labels": 0, "reason": chosen.reason})
    return _with(project, chosen.candidate)


def _with(project: RoundProject, chosen: Candidate) -> RoundProject:
    return replace(project, model=chosen.model, settings=chosen.settings(project.settings), items={})


def _document(project: RoundProject) -> dict[str, Any]:
    try:
        return project.store.document(DOCUMENT)
    except StoreError:
        return {}  # it is measured again


def _hinted(project: RoundProject, options: Mapping[str, Candidate], known: Mapping[str, Any]) -> Choice:
    """Before there are enough labels: as before, else by a version that is there, else by the pool's looks."""
    if known.get("choice") in options:
        return Choice(options[known["choice"]], str(known.get("reason", "")))
    used = _in_use(project, options)
    if used is not None:
        return Choice(options[used], "as in the version in use, until there are enough labels to measure")
    looked_at = [*project.pool.open, *(task for task, _ in project.pool.training)]
    name, reason = hint(looked_at, options, project.question, project.media)
    return Choice(options[name], reason)


def _in_use(project: RoundProject, options: Mapping[str, Candidate]) -> str | None:
    """The candidate that the served version was trained with."""
    try:
        version = project.store.current().version
        manifest = project.store.manifest(version) if version else None
    except StoreError:
        return None
    if manifest is None:
        return None
    encoder = str(manifest.config.get("encoder") or "")
    return next((n for n, o in options.items() if o.model.name == manifest.model and o.encoder in ("", encoder)), None)


def _measured(
    project: RoundProject, options: Mapping[str, Candidate], known: Mapping[str, Any], recorder: Recorder
) -> tuple[Choice, dict[str, Any]]:
    """The choice by the labels, and what is kept of it."""
    labelled = sorted(project.pool.training, key=lambda pair: pair[0].id, reverse=True)[:MOST_LABELS]
    others = _spread(project.pool.open, SAMPLE)
    right = {name: _right(_with(project, option), labelled, others, recorder) for name, option in options.items()}
    if known.get("labels"):
        before: str | None = str(known["choice"])
    elif project.question.object_tag == "Text":
        # Encoders of texts differ by little, which few labels cannot tell: the language says more at first.
        before = _hinted(project, options, known).candidate.name
    else:
        before = None
    best = best_encoder(right, before)
    counts = {name: int(found.sum()) for name, found in right.items()}
    reason = in_words(best, counts, right[best].size)
    kept = {"choice": best, "labels": len(project.pool.training), "of": len(labelled), "right": counts}
    return Choice(options[best], reason), {**kept, "reason": reason}


def in_words(best: str, right: Mapping[str, int], labels: int) -> str:
    """Why a candidate is used: `sentences (minilm): guesses 81 of 100 labels from the others; multilingual 76`.

    Args:
        best: its name, a model with its encoder in brackets.
        right: name → labels guessed right, of all candidates.
        labels: how many were guessed.
    """
    model = best.partition(" (")[0]
    rivals = [
        f"{name.removeprefix(f'{model} (').removesuffix(')') if name.startswith(f'{model} (') else name} {count}"
        for name, count in right.items()
        if name != best
    ]
    kept = ", not clearly more" if max(right.values()) > right[best] else ""
    return f"{best}: guesses {right[best]} of {labels} labels from the others; {', '.join(rivals)}{kept}"


def _right(
    project: RoundProject, labelled: Sequence[tuple[Task, str]], others: Sequence[Task], recorder: Recorder
) -> NDArray[np.bool_]:
    """Whether each label is guessed right by one candidate ``[L]``, of sets each class ``[L, C]``.

    What cannot be read is not.
    """
    tasks = [task for task, _ in labelled]
    examples = read_tasks([*tasks, *others], project, recorder.report)
    items = dict(zip(examples.task_ids.tolist(), examples.items, strict=True))
    different = list({digest(item): item for item in items.values()}.values())
    places = {digest(item): place for place, item in enumerate(different)}
    question = project.question
    right = np.zeros((len(labelled), len(question.labels)) if question.multiple else len(labelled), np.bool_)
    nodes: dict[int, int] = {}  # node → position of the first label on it: copies would tell each other's
    for position, task in enumerate(tasks):
        if task.id in items:
            nodes.setdefault(places[digest(items[task.id])], position)
    if len(nodes) < 2:
        return right
    given = [labelled[p][1] for p in nodes.values()]
    targets = targets_of(given, question)
    settings = project.settings
    encoder = ENCODERS[settings.embedding].learn(different, seed=settings.seed, options=settings.embedding_options)
    positions = np.array(list(nodes), dtype=np.int64)
    found = left_out_right(list(encoder.views(different)), positions, targets, len(question.labels))
    right[list(nodes.values())] = found.reshape(targets.shape)
    return right


def _spread(tasks: Sequence[Task], count: int) -> list[Task]:
    """Some tasks, evenly from all of them by id: the same ones as long as the pool stays about the same."""
    ordered = sorted(tasks, key=lambda task: task.id)
    step = max(1, len(ordered) // count)
    return ordered[::step][:count]
