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

from ml_backend.draws import draws_for
from ml_backend.encoders import feature_store, picture_vectors
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import StoreError
from ml_backend.label_studio.media import MediaReader
from ml_backend.models.kept_items import read_kept
from ml_backend.records import Task
from ml_backend.rounds.encoder_candidates import Candidate, candidates, with_earlier
from ml_backend.rounds.encoder_hint import hint
from ml_backend.rounds.project import RoundProject, read_tasks, targets_of
from ml_backend.rounds.report import Recorder
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
class Choice:
    """What a project uses, and why."""

    candidate: Candidate
    reason: str
    """A sentence; empty where there was nothing to choose."""
    told: bool = True
    """Whether anything speaks for it; else it is none to keep: the next tasks may tell another."""


def choose(project: RoundProject, recorder: Recorder, *, dry_run: bool) -> RoundProject:
    """The project with its model and encoder chosen, and the choice in the report and the store.

    Args:
        project: as read; its model is the preferred one.
        recorder: takes the reason, and times a measurement.
        dry_run: write nothing to the store.
    """
    chosen = _chosen(project, recorder, dry_run=dry_run)
    told = picture_vectors.second_best(chosen.candidate.encoder)
    if told and "encoder" not in project.settings.hyperparameters:
        recorder.warn(told)
    recorder.report.encoder_choice = chosen.reason
    return replace(_with(project, chosen.candidate), media=_read_ahead(project, chosen.candidate))


def _chosen(project: RoundProject, recorder: Recorder, *, dry_run: bool) -> Choice:
    known = _document(project)
    options = _options(project, known)
    if len(options) == 1:
        return Choice(options[0], "")
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
    if chosen.reason and chosen.told and not known.get("labels") and not dry_run:
        project.store.write_document(DOCUMENT, {"choice": chosen.candidate.name, "labels": 0, "reason": chosen.reason})
    return chosen


def _read_ahead(project: RoundProject, chosen: Candidate) -> MediaReader:
    """What reads pictures, and those of the sample for the other candidates, too, where that is light.

    A measurement, while people wait for it, then need not fetch some hundred pictures once more.
    """
    media, question = project.media, project.question
    if question.object_tag != "Image" or question.parts or feature_store.kept() is None:
        return media
    others = [each for each in candidates("Image", project.settings) if each != chosen]
    readers = [reader for each in others if (reader := _with(project, each).reader).is_light]
    values = [question.value(task.data) for task in _sample(project)] if readers else []
    urls = {value.strip() for value in values if isinstance(value, str)}

    def fetched(url: str, content: bytes) -> None:
        media.fetched(url, content)
        if url in urls:
            for reader in readers:
                read_kept(reader, [content])

    return replace(media, fetched=fetched) if urls else media


def _options(project: RoundProject, known: Mapping[str, Any]) -> list[Candidate]:
    """What the settings leave open and, where the project reads through a default of before, that one, last."""
    options = candidates(project.question.object_tag, project.settings)
    before = with_earlier(options)[len(options) :]
    usable = {each.name: each for each in before if picture_vectors.missing(each.encoder) is None}
    used = known.get("choice") or _in_use(project, usable)
    return [*options, usable[used]] if used in usable else options


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
    found = hint(looked_at, options, project.question, project.media)
    return Choice(options[found.name], found.reason, found.told)


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
    others = _sample(project)
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


def _sample(project: RoundProject) -> list[Task]:
    """Some open tasks, as chance has it: the same ones from round to round, but for those that were answered since.

    So each picture is read once for all encoders.
    """
    tasks = project.pool.open
    draws = draws_for(np.array([task.id for task in tasks], dtype=np.int64), project.settings.seed)
    return [tasks[place] for place in np.argsort(draws, kind="stable")[:SAMPLE].tolist()]
