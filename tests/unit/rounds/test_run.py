"""A round is asked for in one way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from ml_backend.errors import ConfigurationError
from ml_backend.records import Project
from ml_backend.rounds.report import nothing_open
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round


def test_changes_of_settings_that_nobody_has_made_are_not_passed_over(tmp_path: Path) -> None:
    workspace = Workspace(cast(Any, None), tmp_path)  # Label Studio is not asked
    with pytest.raises(ConfigurationError, match=r"changes of strategy, seed .* run_request"):
        run_round(workspace, RoundRequest(1, settings={"strategy": "bald", "seed": 1}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tasks", "has_pool", "said"),
    [
        (0, False, "lsal import FILE --project 7"),
        (0, True, "none came from its pool"),
        (3, True, "labelled, skipped or"),
    ],
)
def test_why_there_is_nothing_to_order(tasks: int, has_pool: bool, said: str) -> None:
    now = Project(7, "7.1", "p", "<View/>", "", "", 1, tasks, 0)
    assert said in nothing_open(now, has_pool=has_pool)
