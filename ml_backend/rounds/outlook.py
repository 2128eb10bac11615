"""Whether to go on: what more labels would likely bring, or what is missing to tell, in words with numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from ml_backend.evaluation.intervals import Interval
from ml_backend.evaluation.stopping import FEWEST_MODELS, Judged, agreement, forecast, has_settled, suffices
from ml_backend.rounds.evaluation_tasks import too_few_evaluated
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.random_baseline import labels_for
from ml_backend.store.evaluation_predictions import EvaluationPredictions

CURVE: Final = 30
"""Newest versions that the outlook rests on."""
SOON: Final = 10
"""Labels that the nearer of two forecasts looks ahead."""
AHEAD: Final = 10
"""Rounds that the farther one looks ahead."""
WORTH_IT: Final = 0.005
"""Gain in accuracy below which ten more rounds are called hardly worth it."""


@dataclass(frozen=True)
class Outlook:
    """Whether to go on."""

    agreement: tuple[float, ...]
    """Cohen's kappa of each version with the one before, newest last."""
    settled: bool
    """Predictions have stopped changing."""
    accuracy: float
    """Of the newest version."""
    labels_ahead: int
    """Labels that ten more rounds would bring."""
    expected: Interval | None
    """Accuracy with them; None with too few versions."""
    soon: Interval | None = None
    """Accuracy with `SOON` more labels, likewise."""
    versions: int = 0
    """Versions that were measured on the same evaluation tasks."""
    sizes: int = 0
    """Different numbers of labels that they learnt from."""

    @property
    def hint(self) -> str:
        """In words."""
        if self.expected is None or self.soon is None:
            return f"Go on: {self._missing}"
        gain = self.expected.value - self.accuracy
        change = "predictions have stopped changing" if self.settled else "predictions still change"
        if gain >= WORTH_IT:
            return f"Go on: {self._brings} {_sentence(change)}."
        verdict = "You can stop" if self.settled else "More labels bring little"
        return f"{verdict}: {change}, and {self._brings}"

    @property
    def _brings(self) -> str:
        return (
            f"{SOON} more labels would likely bring the accuracy from {self.accuracy:.1%} to {_told(self.soon)}, "
            f"{AHEAD} more rounds ({self.labels_ahead:,} labels) to {_told(self.expected)}."
        )

    @property
    def _missing(self) -> str:
        """What is missing to tell what more labels would bring."""
        rounds = max(FEWEST_MODELS - self.versions, 2 - self.sizes)
        labels = rounds * self.labels_ahead // AHEAD
        there = str(self.versions)
        if self.versions > 1 and self.sizes < 2:
            there += ", of one number of labels"
        return (
            f"what more labels bring can be told after about {labels:,} more ({_count(rounds, 'round')}). It takes "
            f"{FEWEST_MODELS} versions of different numbers of labels, measured on the same evaluation tasks; there "
            f"{_are(self.versions)} {there}. The newest has {self.accuracy:.1%} of these tasks right."
        )


def outlook(
    project: RoundProject, version: str, judged: EvaluationPredictions, now: Judged, generator: np.random.Generator
) -> Outlook:
    """What the versions so far say.

    Versions that learnt in another way than the one in use lie on another curve: they count as answers alone, unless
    those of its own way are too few to draw a curve through.
    """
    alike, all_models, guesses = [], [], []
    learnt_from = project.store.manifest(version).learnt_from
    for name in project.store.versions()[-CURVE:]:
        past = project.store.evaluation_predictions(name)
        if past is not None and past.about_same_tasks(judged):
            manifest = project.store.manifest(name)
            all_models.append(Judged(manifest.examples, past.right))
            if manifest.learnt_from == learnt_from:
                alike.append(all_models[-1])
            guesses.append(past.guesses)
    agreements = tuple(agreement(a.ravel(), b.ravel()) for a, b in pairwise(guesses))
    ahead = AHEAD * project.settings.train_after_labels
    curve = alike if suffices(alike) else all_models
    soon, expected = (
        forecast(curve, now, labels=now.labels + more, generator=generator) if suffices(curve) else None
        for more in (SOON, ahead)
    )
    sizes = len({model.labels for model in curve})
    return Outlook(
        agreements, has_settled(agreements), 1.0 - now.error, ahead, expected, soon, versions=len(curve), sizes=sizes
    )


def saved_missing(evaluated: int, held_out: int, sample: int, later: int, models: int, control_share: float) -> str:
    """What is missing to tell how many labels the order saved.

    Args:
        evaluated: labelled evaluation tasks.
        held_out: evaluation tasks, labelled or not.
        sample: labels that chance drew.
        later: of these, answers to control tasks.
        models: models of random labels so far.
        control_share: of the queues.
    """
    if lacking := too_few_evaluated(evaluated, held_out):
        return lacking
    needed = max(labels_for(FEWEST_MODELS) - sample, 0 if later else 1)
    if needed and not control_share:
        return "needs control tasks: their share (control_share) is 0"
    if needed:
        return f"needs {_count(needed, 'more answer')} to control tasks"
    rounds = FEWEST_MODELS - models
    if rounds > 0:
        return f"needs {_count(rounds, 'more round')} in the background: each trains one model of random labels"
    return "needs models of two numbers of random labels: more answers to control tasks bring them"


def _told(found: Interval | None) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})" if found else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
