"""Every benchmark of ``make bench`` runs once, small: it goes on working between two releases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

SMALL = {
    "models": ("--seeds", "1"),
    "sync": ("--tasks", "2300", "--queue", "50"),
    "loop": ("--submits", "20", "--events", "100", "--sizes", "300,600"),
    "strategies": ("--only", "strategies"),
    "encoders": ("--items", "60", "--seeds", "1"),
    "encoder_choice": ("--items", "200", "--seeds", "1"),
    "first_order": ("--pictures", "300"),
    "first_labels": ("--items", "200", "--draws", "2"),
    "class_names": ("--items", "400", "--seeds", "2"),
    "set_names": ("--items", "300", "--seeds", "2"),
    "near_copies": ("--items", "400", "--seeds", "2"),
    "large": ("--items", "2000", "--labels", "40"),
    "way": ("--texts", "60", "--digits", "60", "--photographs", "60", "--answers", "12", "--no-start"),
    "classes": ("--classes", "200", "--labels", "400", "--pool", "500"),
    "sets": ("--splits", "2", "--pool", "300", "--items", "1500"),
    "predictions": ("--tasks", "400", "--queue", "40"),
    "outside_pool": ("--rows", "2000", "--texts", "1000", "--tries", "1"),
    "questions": ("--items", "400", "--seeds", "2", "--labels", "80"),
    "pool_serving": ("--rows", "1000,20000", "--answers", "10"),
    "listing": ("--orders", "1,2"),
}


def test_these_are_the_benchmarks_of_make_bench() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^BENCH \?= (.+)$", makefile, re.MULTILINE)
    assert found
    assert found[1].split() == list(SMALL)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name: str, shared_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"bench.{name}", "--data", str(shared_data), *SMALL[name]]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts")},
        cwd=tmp_path,  # from any folder
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "─" in done.stdout or "━" in done.stdout, "no table"
