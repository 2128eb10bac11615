"""Simulations of two invented topics, and the command that runs them."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from ml_backend.cli import simulate as command
from ml_backend.models.headlines import Headlines
from ml_backend.simulation.design import Design, LabelledData

DESIGN = Design(held_out=20, initial=6, batch=4, budget=14, hyperparameters={"steps": 8})
TOPICS = {
    "flood": ("river", "water", "rain", "storm", "dam", "rescue"),
    "sport": ("match", "goal", "team", "cup", "coach", "league"),
}


def headlines(count=60, seed=0):
    """Texts with four words of their topic and two of the other: no two alike, so that no tie decides."""
    rng = np.random.default_rng(seed)
    rows = {}
    while len(rows) < count:
        own, other = list(TOPICS)[:: 1 if len(rows) % 2 else -1]  # as many of each
        rows[" ".join(rng.permutation([*rng.choice(TOPICS[own], 4), *rng.choice(TOPICS[other], 2)]))] = own
    return list(rows), list(rows.values())


@pytest.fixture(scope="module")
def topics():
    texts, labels = headlines()
    return LabelledData(
        "topics", Headlines, ("flood", "sport"), texts, np.array([label == "sport" for label in labels]) + 0
    )


@pytest.fixture(scope="module")
def csv_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "topics.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *zip(*headlines(), strict=True)])
    return path


def call(*args):
    return CliRunner().invoke(command.app, [str(arg) for arg in args])


SIZES = ("--initial", 6, "--batch", 4, "--budget", 14, "--held-out", 20, "--set", "steps=8", "--seeds", 2)
TWO = ("-s", "random", "-s", "entropy")


def untimed(rounds):
    return [replace(entry, fit_seconds=0.0, select_seconds=0.0) for entry in rounds]
