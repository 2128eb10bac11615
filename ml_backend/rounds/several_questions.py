"""The questions beside the first: each gets a head of its own, trained on the items that the round has read already.

The first question is the project's own: its versions are stored, measured and served. The heads of the others are
trained again, on all their labels, whenever they have new ones, and are kept with the round's queue (`store.heads`).
`question_order` makes one order of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.evaluation import agreement
from ml_backend.evaluation.sets import evaluate_sets
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.models.base import LabeledItems, Model
from ml_backend.models.several import are_sets, can_learn, different_answers, equal_answers
from ml_backend.rounds.embedding import unlabelled
from ml_backend.rounds.guessing import by_cross_validation, has_enough
from ml_backend.rounds.judging import answered, choose_thresholds
from ml_backend.rounds.project import RoundProject, read_labelled, read_tasks
from ml_backend.rounds.read import kind_changed
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.training import fingerprint_of
from ml_backend.semi_supervised.choice import OpenItems, fit
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.store.heads import Head, read_heads

FIRST_QUESTION_ONLY: Final[Mapping[str, Any]] = {"class_shares": {}, "class_descriptions": {}}
"""Settings that are about the labels of the first question."""


@dataclass(frozen=True)
class QuestionHead:
    """A question beside the first, with the head that answers it."""

    view: RoundProject
    """The project as this question sees it."""
    head: Head


def weight_of(project: RoundProject, control: str | None = None) -> float:
    """How much a question counts in the order; None: the first."""
    return float(project.settings.question_weights.get(control or project.question.control, 1.0))


def check_weights(project: RoundProject) -> None:
    """See to it that the weights are of questions that are learnt.

    Raises:
        ConfigurationError: they are not, or all are 0.
    """
    learnt = [project.question.control, *(question.control for question, _ in project.others)]
    unknown = [name for name in project.settings.question_weights if name not in learnt]
    if unknown:
        raise ConfigurationError(
            f"question_weights names {', '.join(map(repr, unknown))}; learnt are {', '.join(map(repr, learnt))}."
        )
    if not any(weight_of(project, control) > 0 for control in learnt):
        raise ConfigurationError("question_weights are all 0; give one question a weight.")


def fit_heads(project: RoundProject, recorder: Recorder) -> tuple[QuestionHead, ...]:
    """A head for each question beside the first that has labels of two classes, and a weight."""
    if not project.others:
        return ()
    check_weights(project)
    heads: list[QuestionHead] = []
    with recorder.step("fit others") as step:
        told, kept = [], _kept(project)
        for place in range(len(project.others)):
            view = _view(project, place, recorder)
            known, ids = _known(view, recorder)
            _tell_change(kept, view.question, recorder)
            if lacking := _lacking(view, known):
                told.append(f'"{view.question.control}": {lacking}')
            elif weight := weight_of(project, view.question.control):
                of_this = f"{fingerprint_of(view)} {view.settings.check_guessing}"
                before = next((h for h in kept if (h.question, h.fingerprint) == (view.question, of_this)), None)
                head = before or _head(view, known, ids, of_this, recorder)
                heads.append(QuestionHead(view, replace(head, weight=weight)))
                again = ", learnt before" if before else ""
                told.append(f'"{view.question.control}": {_in_words(heads[-1], known, recorder)}{again}')
        recorder.report.beside, step.detail = told, "; ".join(told)
    return tuple(heads)


def _lacking(view: RoundProject, known: LabeledItems) -> str:
    """What keeps a question from being learnt; empty where nothing does."""
    if not can_learn(view.model, multiple=view.question.multiple):
        return f"the model {view.model.name} learns one choice per answer, and this question takes several"
    return "" if different_answers(known.targets) > 1 else "labels of two classes are needed"


def _tell_change(kept: Sequence[Head], question: ChoiceQuestion, recorder: Recorder) -> None:
    before = next((head.question for head in kept if head.question.control == question.control), None)
    if change := kind_changed(before, question):
        recorder.warn(change)


def _kept(project: RoundProject) -> tuple[Head, ...]:
    """The heads of the order before: what has no new labels need not be learnt again."""
    before = project.store.current().queue
    try:
        return read_heads(project.store.folder, before) if before else ()
    except StoreError:
        return ()


def _head(
    view: RoundProject, known: LabeledItems, ids: NDArray[np.int64], fingerprint: str, recorder: Recorder
) -> Head:
    fitted = _fitted(view, known, ids, recorder)
    shown = not _guesses(view, known, ids)
    hyperparameters, length = view.settings.hyperparameters, view.vector_length
    return Head(view.question, fitted, 1.0, shown, hyperparameters, length, fingerprint)


def _view(project: RoundProject, place: int, recorder: Recorder) -> RoundProject:
    question, pool = project.others[place]
    settings = project.settings.override(FIRST_QUESTION_ONLY, where="Several questions")
    view = replace(project, question=question, settings=settings, others=())
    view = replace(view, pool=replace(pool, open=project.pool.open))
    # Not kept: the first question has embedded the same tasks already, all of them.
    return replace(view, unlabelled=unlabelled(view, recorder, dry_run=True)) if project.unlabelled else view


def with_open_tasks(heads: Sequence[QuestionHead], project: RoundProject) -> tuple[QuestionHead, ...]:
    """The heads with the open tasks that the project has now: after a search it has other rows of a pool outside."""
    if project.outside is None:
        return tuple(heads)
    found = []
    for each in heads:
        graph = each.view.unlabelled
        if graph is not None and project.unlabelled is not None:
            graph = replace(graph, embedding=project.unlabelled.embedding)
        view = replace(each.view, pool=replace(each.view.pool, open=project.pool.open), unlabelled=graph)
        found.append(replace(each, view=replace(view, keys=project.keys)))
    return tuple(found)


def _known(view: RoundProject, recorder: Recorder) -> tuple[LabeledItems, NDArray[np.int64]]:
    return read_labelled(view.pool.training, view, recorder.report)


def _fitted(view: RoundProject, known: LabeledItems, ids: NDArray[np.int64], recorder: Recorder) -> Model:
    evaluation, _ = read_labelled(view.pool.evaluation, view, recorder.report)
    model = fit(
        Recipe(
            view.new_model,
            seed=view.settings.seed,
            hyperparameters=view.settings.hyperparameters,
            evaluation=evaluation,
        ),
        known,
        ids.tolist(),
        OpenItems(
            len(view.pool.open), lambda: read_tasks(view.pool.open, view, recorder.report).items, view.unlabelled
        ),
    ).model
    choose_thresholds(model, evaluation)
    return model


def _guesses(view: RoundProject, known: LabeledItems, ids: NDArray[np.int64]) -> bool:
    if not has_enough(view, ids, known):
        return False
    return bool(by_cross_validation(view, ids, known, lambda done, total: None)["guessing"])  # noqa: ARG005


def _in_words(learnt: QuestionHead, known: LabeledItems, recorder: Recorder) -> str:
    """From how many labels a question was learnt, and how good that is, as for the first in its versions' measures."""
    held_out, _ = read_labelled(learnt.view.pool.evaluation, learnt.view, recorder.report)
    words = f"{len(known.targets)} labels"
    if learnt.head.question.none_is_an_answer:
        words += f" ({int((known.targets.sum(axis=1) == 0).sum())} of none of its choices)"
    if len(held_out.items):
        said = learnt.head.model.probabilities(held_out.items).mean(axis=1, dtype=np.float64)
        own = answered(learnt.head.model, said, held_out.targets, seed=learnt.view.settings.seed)
        right, labels = equal_answers(own, held_out.targets), learnt.head.question.labels
        words += f", accuracy {float(right.mean()):.1%}"
        if are_sets(own):
            words += f" (whole sets; macro F {evaluate_sets(said, held_out.targets, labels, own).f_macro:.1%})"
        words += f" on {len(held_out.items)} evaluation tasks"
    if agreed := agreement.measure(learnt.view.pool.several.values(), sets=learnt.head.question.multiple):
        words += f", {agreed}"
    return words if learnt.head.shown else f"{words}, no better than guessing: its guesses are not shown"
