"""Tasks held out for measuring: how many are labelled, how many it takes, and what to do for more, in words."""

from __future__ import annotations

from typing import Any, Final

from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_fields import top_field
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT
from ml_backend.rounds.examples import TaskPool

FEWEST_EVALUATED: Final = 30
"""Labelled evaluation tasks below which nothing is concluded from versions."""
TAB_TITLE: Final = "Evaluation tasks"
TAB: Final[dict[str, Any]] = {
    "filters": {
        "conjunction": "and",
        "items": [
            {
                "filter": f"filter:tasks:data.{EVALUATION_FIELD}",
                "operator": "equal",
                "type": "String",
                "value": EVALUATION_SPLIT,
            },
            {"filter": "filter:tasks:total_annotations", "operator": "equal", "type": "Number", "value": 0},
        ],
    },
}
"""The Data Manager tab of those that nobody has labelled."""
HOLD_OUT: Final = "lsal import --evaluation (from a pool outside Label Studio: lsal pool hold-out)"


def too_few_evaluated(evaluated: int, held_out: int) -> str:
    """What is missing where too few of the tasks that are held out are labelled; empty where enough are."""
    if evaluated >= FEWEST_EVALUATED:
        return ""
    if held_out >= FEWEST_EVALUATED:
        missing = FEWEST_EVALUATED - evaluated
        return (
            f"needs {missing} more labelled evaluation task{'' if missing == 1 else 's'}: {evaluated or 'none'} of the "
            f"{held_out:,} that are held out {'are' if evaluated > 1 else 'is'} labelled, and Label Studio's tab "
            f"“{TAB_TITLE}” lists {'the others' if evaluated else 'them'}"
        )
    there = f"only {held_out} {'is' if held_out == 1 else 'are'}" if held_out else "none is"
    return f"needs {FEWEST_EVALUATED} labelled evaluation tasks, and {there} held out: {HOLD_OUT} does that"


def list_them(client: LabelStudioClient, project_id: int, pool: TaskPool, question: ChoiceQuestion) -> None:
    """Make the tab that lists the evaluation tasks to label, as long as too few are labelled to measure by.

    Raises:
        LabelStudioError: it could not be made.
    """
    if len(pool.evaluation) < min(FEWEST_EVALUATED, pool.held_out):
        client.ensure_tab(project_id, TAB_TITLE, TAB, columns=("id", f"data.{top_field(question.field)}"))
