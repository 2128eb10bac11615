"""Server and round process stay under 1.5 GB in all while a text project trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY


@pytest.mark.timeout(3600)
def test_a_text_project_of_8000_trains_in_the_memory_allowed(shared_data: Path) -> None:
    command = [sys.executable, "-m", "bench.memory", "--data", str(shared_data)]
    # The installation's own choice of a model; the other tests set one that starts faster.
    env = {name: value for name, value in os.environ.items() if name != "TEXT_MODEL"}
    env |= {"PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
