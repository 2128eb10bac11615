"""Simulated detections whose errors are known: what the strategy ``predictions`` puts first holds most of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.detections import simulated
from support.predicted import predicted_project, queue_of

TASKS, QUEUE, TIMES = 5_000, 200, 3.0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_first_200_of_5000_hold_at_least_three_times_the_errors_of_a_random_200(seed: int, tmp_path: Path) -> None:
    results, errors = simulated(TASKS, seed=seed)
    # The control arm is measured apart: it is drawn at random, whatever the strategy.
    project = predicted_project(tmp_path, results, seed=seed, control_share=0, queue_size=QUEUE)
    first = np.array([item.task_id for item in queue_of(project).predictions]) - 1
    assert len(first) == QUEUE
    assert errors[first].sum() >= TIMES * QUEUE * errors.mean()


@pytest.mark.parametrize("doubt", ["lowest", "mean", "highest", "entropy"])
def test_every_measure_of_scores_finds_more_errors_than_chance(doubt: str, tmp_path: Path) -> None:
    results, errors = simulated(1_000)
    project = predicted_project(tmp_path, results, control_share=0, queue_size=40, predictions_doubt=doubt)
    first = np.array([item.task_id for item in queue_of(project).predictions]) - 1
    assert errors[first].sum() > 1.5 * 40 * errors.mean()
