"""What random labels alone would have given: models of the random labels, beside the model of all labels.

The random labels are those that were there before any model chose (first labels, cold start), then the tasks of the
control order up to the first that is still open. That is the sample that somebody without active learning would have
from the same start: the control arm makes it longer, and tasks of it that a strategy happened to ask count as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids, draws_for
from ml_backend.errors import StoreError
from ml_backend.evaluation.stopping import Judged
from ml_backend.files import fingerprint
from ml_backend.models.several import are_sets, equal_answers
from ml_backend.records import BULK, CONTROL, Task
from ml_backend.rounds.judging import answered
from ml_backend.rounds.project import RoundProject, read_labelled, read_tasks
from ml_backend.rounds.report import Recorder, Report
from ml_backend.selection.control_arm import control_order
from ml_backend.semi_supervised.set_spreading import expected
from ml_backend.semi_supervised.shares import set_rates
from ml_backend.semi_supervised.thresholds import suit
from ml_backend.store.evaluation_predictions import EvaluationPredictions
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.query_log import QueryLogEntry

DOCUMENT: Final = "random_arm.json"
SMALLEST: Final = 20
"""Labels of the smallest model."""
GROWTH: Final = 1.3
"""From one model's number of labels to the next."""
REPEATS: Final = 2
"""Models of each size, on different random labels."""
SUBSET_STREAM: Final = 16


def random_sample(
    labelled: Ids,
    answers: Mapping[int, QueryLogEntry],
    open_tasks: Ids,
    *,
    seed: int,
    keys: Mapping[int, int] = MappingProxyType({}),
) -> tuple[list[int], list[int]]:
    """Labelled tasks that are a random sample: those before any model chose, and those after, in control order.

    Those that got their label together with many others are no part of it: whoever chose them saw what they are, and
    perhaps what the model guesses.

    Args:
        labelled: tasks with a label.
        answers: what each was asked for.
        open_tasks: those that are not answered, rows of a pool outside among them.
        seed: of the control order.
        keys: what draws go by in place of a task's id, where that is something else.
    """
    bulk = [int(task) for task in labelled if int(task) in answers and answers[int(task)].picked_by == BULK]
    labelled = np.setdiff1d(labelled, np.array(bulk, dtype=np.int64))
    chosen = [int(task) for task in labelled if int(task) in answers and not _drawn_at_random(answers[int(task)])]
    first = sorted(set(labelled.tolist()) - set(chosen))
    rest = np.array([*chosen, *open_tasks.tolist()], dtype=np.int64)
    is_open = set(open_tasks.tolist())
    later: list[int] = []
    task_of = {keys.get(task, task): task for task in rest.tolist()}
    for key in control_order(np.array(list(task_of), dtype=np.int64), seed, len(task_of)).tolist():
        if task_of[key] in is_open:
            break
        later.append(task_of[key])
    return first, later


def _drawn_at_random(answer: QueryLogEntry) -> bool:
    """Whether the queue was random: before a first model, and not by a strategy that needs none."""
    return answer.version is None and answer.picked_by in (CONTROL, "random")


def sizes(labels: int) -> list[int]:
    """Numbers of labels of the models that a sample of so many labels allows: 20, 26, 34, ..."""
    found, size = [], float(SMALLEST)
    while size <= labels:
        found.append(int(size))
        size *= GROWTH
    return found


def labels_for(models: int) -> int:
    """Random labels that so many models take, of two sizes at least."""
    found = SMALLEST
    while len(sizes(found)) < max(-(-models // REPEATS), 2):
        found += 1
    return found


def random_models(project: RoundProject, judged: EvaluationPredictions) -> list[Judged]:
    """The models so far that were judged on the same evaluation tasks, under the present settings."""
    return [Judged(size, right) for (size, _), right in _fits(project, judged).items()]


def fit_next(project: RoundProject, judged: EvaluationPredictions, sample: list[int], recorder: Recorder) -> bool:
    """Fit, judge and remember one more model, if one is due; whether it was.

    Raises:
        ModelError: the fit failed. StoreError: it could not be remembered.
    """
    known = _fits(project, judged)
    due = [(size, repeat) for size in sizes(len(sample)) for repeat in range(REPEATS) if (size, repeat) not in known]
    held_out = {task.id: task for task, _ in project.pool.evaluation}
    if not due or not held_out.keys() >= set(judged.task_ids.tolist()):
        return False  # the version in use was judged on tasks that have lost their label: nothing compares with it
    for size, repeat in reversed(due):  # the largest says most about the curve's end
        rows = _subset(project, sample, size, repeat)
        if len({label for _, label in rows}) > 1:
            break
    else:
        return False
    with recorder.step("random arm") as step:
        report = Report(project.now.id)
        asked = read_tasks([held_out[int(task)] for task in judged.task_ids], project, report)
        if len(asked.items) < len(judged.task_ids):
            return False
        examples, _ = read_labelled(rows, project, report)
        items, targets = examples.items, examples.targets
        model = project.new_model()
        model.fit(items, targets, seed=project.settings.seed, hyperparameters=project.settings.hyperparameters)
        if are_sets(targets):  # as the version in use got its thresholds
            suit(model, [*items, *asked.items], expected(set_rates(targets), targets))
        says = model.probabilities(asked.items).mean(axis=1, dtype=np.float64)
        guesses = answered(model, says, judged.targets, seed=project.settings.seed)
        step.detail = f"{size} random labels"
    remembered = {**known, (size, repeat): equal_answers(guesses, judged.targets)}
    rows_kept = [
        {"labels": n, "repeat": r, "right": np.packbits(right).tobytes().hex()} for (n, r), right in remembered.items()
    ]
    project.store.write_document(DOCUMENT, {"about": _about(project, judged), "fits": rows_kept})
    return True


def _subset(project: RoundProject, sample: list[int], size: int, repeat: int) -> list[tuple[Task, str]]:
    ids = np.array(sample, dtype=np.int64)
    draws = draws_for(ids, project.settings.seed + SUBSET_STREAM + repeat)
    chosen = set(ids[np.argsort(draws)[:size]].tolist())
    return [(task, label) for task, label in project.pool.training if task.id in chosen]


def _fits(project: RoundProject, judged: EvaluationPredictions) -> dict[tuple[int, int], NDArray[np.bool_]]:
    return fits(project.store, judged, _about(project, judged))


def fits(store: ProjectStore, judged: EvaluationPredictions, about: str) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """(labels, repeat) of each random model → which evaluation tasks ``[E]`` it has right; empty for another recipe.

    Raises:
        StoreError: the document is damaged.
    """
    stored = store.document(DOCUMENT)
    if stored.get("about") != about:
        return {}
    try:
        return {
            (int(row["labels"]), int(row["repeat"])): _unpacked(row["right"], len(judged.targets))
            for row in stored["fits"]
        }
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"{store.folder / DOCUMENT} is damaged ({exc}); delete it.") from exc


def _unpacked(text: str, count: int) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=count)
    return bits.astype(np.bool_)


def _about(project: RoundProject, judged: EvaluationPredictions) -> str:
    settings = project.settings
    model = f"{project.model.name} {project.read_by}".rstrip()
    return recipe(judged, model, project.question.labels, settings.seed, settings.hyperparameters)


def recipe(
    judged: EvaluationPredictions, model: str, labels: Sequence[str], seed: int, hyperparameters: Mapping[str, object]
) -> str:
    """Hash of all that makes models comparable: evaluation tasks, their answers, how they are trained."""
    content = [judged.task_ids.tolist(), judged.targets.tolist(), model, list(labels), seed, hyperparameters]
    return fingerprint(content)
