"""What is known about the loop itself: live accuracy, labels saved, the outlook, the classes that queues bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ml_backend.evaluation.stopping import Judged, Saved, labels_saved
from ml_backend.records import BULK
from ml_backend.rounds.evaluation_tasks import FEWEST_EVALUATED, too_few_evaluated
from ml_backend.rounds.examples import answered_in_bulk
from ml_backend.rounds.outlook import outlook, saved_missing
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.random_baseline import fit_next, random_models, random_sample
from ml_backend.rounds.tally import class_shares, live_accuracy, tally
from ml_backend.rounds.workspace import Run
from ml_backend.store.evaluation_predictions import EvaluationPredictions
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.query_log import QueryLogEntry, record

DOCUMENT: Final = "measures.json"


def update(project: RoundProject, run: Run) -> dict[str, Any] | None:
    """Bring the project's measures up to date, and write them down; None where that failed, which fails no round.

    Args:
        project: as the round read it.
        run: the round, after its order stands; its options say whether one more model of random labels may be fitted.
    """
    version = run.report.version
    with run.recorder.sparing_the_round("measuring", "The measures are not up to date"):
        labels = {task.id: label for task, label in project.pool.training}
        answers = record(project.store, labels, answered_in_bulk(task for task, _ in project.pool.training))
        judged = project.store.evaluation_predictions(version) if version else None
        first, later = random_sample(
            np.array(sorted(labels), dtype=np.int64),
            answers,
            np.array([task.id for task in project.pool.open], dtype=np.int64),
            seed=project.settings.seed,
            keys=project.keys,
        )
        enough = judged is not None and len(judged.targets) >= FEWEST_EVALUATED
        if run.options.fit_random and judged is not None and enough and later:
            fit_next(project, judged, [*first, *later], run.recorder)
        with run.step("measure"):
            sample = len(first) + len(later), len(later)
            found = _measures(project, version, judged if enough else None, answers, labels, sample)
            project.store.write_document(DOCUMENT, found)
        return found
    return None


def stored(store: ProjectStore) -> dict[str, Any]:
    """The measures of the last round; empty before a first one."""
    return store.document(DOCUMENT)


def present(store: ProjectStore) -> dict[str, Any]:
    """The measures of the last round, with what people answered since; empty before a first one.

    Where this machine has no copy of the tasks (the rounds run elsewhere), ``numbers`` are those of the last round.

    Raises:
        StoreError: something stored is damaged.
    """
    found, now = stored(store), tally(store)
    if not found or now is None:
        return found
    lacking: dict[str, str] = {}
    if "evaluated" in found and not found["outlook"] and "corrections" not in found:
        lacking = _of_evaluation(now.evaluation, now.held_out, found)
    return found | lacking | {"labels": now.labels, "live": now.live, "classes": now.classes, "numbers": now.numbers}


def numbers(store: ProjectStore) -> dict[str, Any] | None:
    """How many answers there are: as of now, or of the last round where this machine has no copy of the tasks.

    Raises:
        StoreError: something stored is damaged.
    """
    now = tally(store)
    return now.numbers if now else stored(store).get("numbers")


def _of_evaluation(evaluated: int, held_out: int, found: Mapping[str, Any]) -> dict[str, str]:
    """What is said about evaluation tasks as they are now, where the last round found too few of them labelled."""
    counted = found["evaluated"], (found.get("numbers") or {}).get("held_out", held_out)
    if counted == (evaluated, held_out) or found["evaluated"] >= FEWEST_EVALUATED:
        return {}
    missing = too_few_evaluated(evaluated, held_out) or f"needs the next round, which measures on {evaluated:,} tasks"
    return {"saved_missing": missing, "hint": _unknown(missing) if found["version"] else found["hint"]}


def _measures(
    project: RoundProject,
    version: str | None,
    judged: EvaluationPredictions | None,
    answers: Mapping[int, QueryLogEntry],
    labels: Mapping[int, str],
    sample: tuple[int, int],
) -> dict[str, Any]:
    """The document; ``sample`` counts labels that chance drew, and the answers to control tasks among them."""
    evaluated, held_out = len(project.pool.evaluation), project.pool.held_out
    share, now = project.settings.control_share, tally(project.store)
    found: dict[str, Any] = {
        "version": version,
        "labels": len(labels),
        "random_labels": sample[0],
        "evaluated": evaluated,
        "numbers": now and now.numbers,
        "live": live_accuracy(answers, labels),
        "classes": class_shares(answers, labels),
        "labels_saved": None,
        "saved_missing": _in_bulk(answers, labels) or saved_missing(evaluated, held_out, *sample, 0, share),
        "outlook": None,
        "hint": _unmeasured(evaluated, held_out, version),
        "guesses": project.store.manifest(version).guesses if version else "",
    }
    if judged is None or version is None:
        return found
    return found | _judged(project, version, judged, _in_bulk(answers, labels), sample)


def _in_bulk(answers: Mapping[int, QueryLogEntry], labels: Mapping[int, str]) -> str:
    """Why labels saved cannot be told where many tasks got theirs at once; goes on after "It". Empty elsewhere."""
    count = sum(task in labels and answer.picked_by == BULK for task, answer in answers.items())
    return f"compares labels given one by one, and {count:,} were given to many tasks at once" if count else ""


def _judged(
    project: RoundProject, version: str, judged: EvaluationPredictions, in_bulk: str, sample: tuple[int, int]
) -> dict[str, Any]:
    """What evaluation tasks tell of the version, as parts of the document."""
    evaluated, share = len(project.pool.evaluation), project.settings.control_share
    generator = np.random.default_rng(project.settings.seed)
    used = Judged(project.store.manifest(version).examples, judged.right)
    tasks = len(project.pool.training) + len(project.pool.open)
    tasks = max(tasks, project.outside.rows if project.outside else 0)
    models = random_models(project, judged)
    saved = None if in_bulk else labels_saved(models, used, pool=tasks, generator=generator)
    missing = in_bulk or saved_missing(evaluated, project.pool.held_out, *sample, len(models), share)
    ahead = outlook(project, version, judged, used, generator)
    return {
        "labels_saved": _saved(saved),
        "saved_missing": "" if saved else missing,
        "outlook": asdict(ahead) | {"agreement": list(ahead.agreement)},
        "hint": ahead.hint,
    }


def _unmeasured(evaluated: int, held_out: int, version: str | None) -> str:
    if version is None:
        return "Go on: a model is trained as soon as tasks of two classes have labels."
    measured = "needs a version that was measured on the present evaluation tasks"
    return _unknown(too_few_evaluated(evaluated, held_out) or measured)


def _unknown(missing: str) -> str:
    return f"Go on: what more labels bring is not known yet. It {missing}."


def _saved(saved: Saved | None) -> dict[str, Any] | None:
    return asdict(saved) | {"saved": asdict(saved.saved)} if saved else None
