"""The Data Manager tab "Re-check": annotated tasks whose answers are tied, or whose label is in doubt.

After a round has published its queue, so that annotators do not wait for it; a round does not fail by it either.
"""

from __future__ import annotations

from typing import Any

from ml_backend.evaluation.label_errors import FOLDS, doubtful, doubtful_sets, has_enough, out_of_sample
from ml_backend.files import fingerprint
from ml_backend.label_studio.task_fields import top_field
from ml_backend.rounds.project import RoundProject, read_labelled
from ml_backend.rounds.report import Report, Step
from ml_backend.rounds.workspace import Run

TAB_TITLE = "Re-check"
DOCUMENT = "recheck.json"
"""Id of the tab, and the doubts of the last round with the hash of what they depend on."""
NO_TASK = 0
"""An id that no task has: a tab without any filter would list all tasks."""


def recheck(project: RoundProject, run: Run) -> None:
    """Bring the project's tab up to date; without the setting ``recheck``, remove the tab that this made before."""
    wanted = project.settings.recheck
    with run.recorder.sparing_the_round("re-check", f'The tab "{TAB_TITLE}" is not up to date'):
        known = project.store.document(DOCUMENT)
        if not wanted and not known:
            return
        with run.step("re-check") as step:
            if wanted:
                _list(project, known, run, step)
            else:
                run.workspace.client.delete_tab(project.now.id, known.get("tab"))
                project.store.write_document(DOCUMENT, {})


def _list(project: RoundProject, known: dict[str, Any], run: Run, step: Step) -> None:
    fingerprint = _fingerprint(project)
    if known.get("fingerprint") == fingerprint:
        doubted = [int(task_id) for task_id in known["doubted"]]
    else:
        doubted = _doubted(project, run.report, step)
    shown = [*project.pool.tied, *doubted][: project.settings.recheck]
    tab = run.workspace.client.put_tab(
        project.now.id,
        known.get("tab"),
        TAB_TITLE,
        {"filters": tasks_filter(shown)},
        columns=("id", f"data.{top_field(project.question.field)}", "annotations_results", "annotators"),
    )
    project.store.write_document(DOCUMENT, {"tab": tab, "fingerprint": fingerprint, "doubted": doubted})
    run.report.doubted = shown
    step.detail = f"{len(doubted)} labels in doubt, {len(project.pool.tied)} ties; {len(shown)} listed"


def tasks_filter(task_ids: list[int]) -> dict[str, Any]:
    """A Data Manager filter that lets exactly these tasks through.

    One condition for each: Label Studio's own ``in_list`` breaks the Data Manager's page, for all tabs of the project,
    and the page overwrites a regular expression on the id. With 100 conditions the page's filter menu is too slow to
    use, so the setting's limit is lower.
    """
    items = [
        {"filter": "filter:tasks:id", "operator": "equal", "type": "Number", "value": task_id}
        for task_id in sorted(task_ids) or [NO_TASK]
    ]
    return {"conjunction": "or", "items": items}


def _doubted(project: RoundProject, report: Report, step: Step) -> list[int]:
    """Tasks with a doubtful label, evaluation tasks included: a wrong label there falsifies every figure."""
    examples, task_ids = read_labelled([*project.pool.training, *project.pool.evaluation], project, report)
    targets = examples.targets
    if not has_enough(targets, len(project.question.labels)):
        return []
    probabilities = out_of_sample(
        project.model,
        project.question.labels,
        examples.items,
        targets,
        seed=project.settings.seed,
        hyperparameters=_short(project),
        progress=step.progress,
    )
    found = (doubtful_sets if project.question.multiple else doubtful)(probabilities, targets)
    return [int(task_ids[position]) for position in found]


def _short(project: RoundProject) -> dict[str, Any]:
    """Hyperparameters of fits that take ``1 / FOLDS`` of the steps of the newest version's.

    All folds together then cost one training, and short training finds more: wrong labels are learned last (Arpit et
    al. 2017, https://arxiv.org/abs/1706.05394).
    """
    chosen = dict(project.settings.hyperparameters)
    versions = project.store.versions()
    training = project.store.manifest(versions[-1]).training if versions else {}
    steps = training.get("hyperparameters", {}).get("steps")
    if steps and "steps" in project.model.hyperparameters():
        chosen["steps"] = max(1, round(steps / FOLDS))
    return chosen


def _fingerprint(project: RoundProject) -> str:
    """Hash of what the doubts depend on: with the same one they need not be computed again."""
    labelled = sorted((task.id, label) for task, label in [*project.pool.training, *project.pool.evaluation])
    settings = project.settings
    content = [project.model.name, project.question.labels, settings.seed, settings.hyperparameters, labelled]
    if project.read_by:
        content.append(project.read_by)
    return fingerprint(content)
