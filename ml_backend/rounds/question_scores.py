"""What the heads of the questions beside the first say about tasks, for the order and for the page.

Rounds and ``/predict`` use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.label_studio.answers import result_for
from ml_backend.models.reading import ItemReader, reader_of
from ml_backend.rounds.item_reading import Examples
from ml_backend.selection.scoring import Scores, score_items
from ml_backend.store.heads import Head


@dataclass(frozen=True)
class QuestionScores:
    """What a question's head says about ``N`` tasks."""

    head: Head
    task_ids: Ids
    """``[N]``"""
    scores: Scores


def scored_by_heads(
    heads: Sequence[Head], read: Callable[[Head, ItemReader], Examples], settings: ProjectSettings
) -> tuple[QuestionScores, ...]:
    """What each head says about the tasks that ``read`` returns, read in the way that the head was trained on."""
    found = []
    for head in heads:
        reader = replace(reader_of(type(head.model), head.hyperparameters), length=head.length)
        examples = read(head, reader)
        scores = score_items(head.model, examples.items, examples.task_ids, settings)
        found.append(QuestionScores(head, examples.task_ids, scores))
    return tuple(found)


def with_mean(scores: Scores, weight: float, scored: Sequence[QuestionScores]) -> Scores:
    """Scores of the first question with the mean of all questions' uncertainties, each in [0, 1] ``[N]``.

    ``Σ w_q u_q / Σ w_q``
    """
    weights = np.array([weight, *(each.head.weight for each in scored)])
    parts = np.stack([scores.uncertainty, *(each.scores.uncertainty for each in scored)])
    return replace(scores, uncertainty=np.asarray(weights @ parts / weights.sum(), dtype=np.float64))


def guesses_beside(scored: Sequence[QuestionScores]) -> dict[int, list[dict[str, Any]]]:
    """Task id → the other questions' guesses as regions of a prediction."""
    found: dict[int, list[dict[str, Any]]] = {}
    for number, each in enumerate(scored, 1):
        if not each.head.shown:
            continue
        question, scores = each.head.question, each.scores
        for row, task in enumerate(each.task_ids.tolist()):
            guess = scores.guess(row, question.labels)
            regions = result_for(guess, float(scores.confidence[row]), question)
            found.setdefault(task, []).extend(region | {"id": f"choice-{number}"} for region in regions)
    return found
