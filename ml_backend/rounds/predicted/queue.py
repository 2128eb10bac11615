"""The open tasks in the order in which people are asked: the most doubtful predictions first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ml_backend.draws import draws_for
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.foreign import Foreign, shown_result
from ml_backend.label_studio.publishing import latest_number
from ml_backend.label_studio.queue_names import queue_name
from ml_backend.models.base import LabeledItems
from ml_backend.records import CONTROL, Prediction, Queue
from ml_backend.regions.doubt import Scored, doubts, placed
from ml_backend.rounds.predicted.content import contents
from ml_backend.rounds.predicted.reading import PredictedProject
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.workspace import Run
from ml_backend.selection.context import QueryContext
from ml_backend.selection.ordering import queue_scores
from ml_backend.selection.select import arrange
from ml_backend.selection.selection import Selection
from ml_backend.strategies.inputs import Need
from ml_backend.strategies.mixture import needs, short_name

CAN_BE_HAD: Final = frozenset[Need](("doubts", "embeddings", "features", "labelled"))
"""By the parts of a mixture: no answer is learnt here."""
CHANCE_STREAM: Final = 5
"""Added to the seed: where tasks without a known doubt go by chance."""


def make_predicted_queue(project: PredictedProject, taken: Iterable[str], run: Run) -> Queue:
    """Rank the open tasks; ``taken``: the model versions that Label Studio has, so that the number is free.

    Raises:
        ConfigurationError: a part of the strategy needs what there is not.
    """
    settings = project.settings
    number = max(project.store.next_queue_number(), latest_number(taken) + 1)
    count = len(project.pool.open) if run.options.whole_pool else settings.queue_size
    with run.step("rank") as step:
        context = _context(project, run.recorder)
        chosen = arrange(context, None, count=count, turn=len(project.pool.open), front=project.overrides.front)
        step.detail = f"{len(chosen)} by {settings.strategy}"
    name = queue_name(None, short_name(settings.strategy), number)
    predictions = _predictions(project, chosen)
    source = project.foreign.versions
    return Queue(name, None, settings.strategy, 1, settings.seed, predictions, settings.prelabel, dict(source))


def _context(project: PredictedProject, recorder: Recorder) -> QueryContext:
    tasks, settings = project.pool.open, project.settings.override({"balance": False}, where="Predictions")
    ids = np.array([task.id for task in tasks], dtype=np.int64)
    wanted = needs(settings.strategy)
    if lacking := sorted(wanted - CAN_BE_HAD):
        raise ConfigurationError(
            f"Strategy {settings.strategy!r}: predictions of other models can only be mixed with strategies that "
            f"need no answers (this one needs {', '.join(lacking)}), such as "
            f"predictions:0.7,typiclust:0.2,random:0.1."
        )
    found = placed(
        doubts([project.scored.get(task.id) for task in tasks], settings.predictions_doubt),
        settings.predictions_missing,
        draws_for(ids, settings.seed + CHANCE_STREAM),
    )
    if not wanted - {"doubts"}:
        return QueryContext(None, ids.tolist(), ids, settings, doubts=found)
    answered = [task for task, _ in project.pool.training]
    items = contents(project, [*tasks, *answered], recorder)  # together: vectors are all of one length
    targets = np.zeros(len(answered), dtype=np.int64)  # what they were answered is not asked for
    known = LabeledItems(items[len(tasks) :], targets)
    return QueryContext(None, items[: len(tasks)], ids, settings, labelled=known, doubts=found)


def _predictions(project: PredictedProject, chosen: Selection) -> tuple[Prediction, ...]:
    served = queue_scores(chosen.utility).tolist()
    found = []
    for place, task in enumerate(chosen.task_ids.tolist()):
        picked_by = chosen.picked_by[place]
        foreign = project.foreign.by_task.get(task)
        reason = "" if picked_by == CONTROL else _reason(foreign, project.scored.get(task))
        shown = None if foreign is None else tuple(shown_result(foreign.result))
        found.append(Prediction(task, None, 0.0, served[place], picked_by, reason, shown))
    return tuple(found)


def _reason(foreign: Foreign | None, scored: Scored | None) -> str:
    """What is known of a prediction, in words."""
    if foreign is None or scored is None:
        return "no other model's prediction"
    count = f"{scored.regions} region{'' if scored.regions == 1 else 's'} by {foreign.version or 'another model'}"
    if scored.scores:
        low, high = min(scored.scores), max(scored.scores)
        sure = f"sure to {low:.0%}" if len(scored.scores) == 1 else f"sure to between {low:.0%} and {high:.0%}"
        return f"{count}, {sure}"
    return f"{count}, {f'sure to {scored.overall:.0%}' if scored.overall is not None else 'without a score'}"


def without_results(queue: Queue, tasks: Sequence[int]) -> Queue:
    """The queue as it is where some tasks show nothing: Label Studio refused their results."""
    refused = frozenset(tasks)
    predictions = (replace(item, result=None) if item.task_id in refused else item for item in queue.predictions)
    return replace(queue, predictions=tuple(predictions))
