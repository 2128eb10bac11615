"""What a start pulls in: nothing heavy before a model, a page or a Label Studio is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ml_backend.cli.app import COMMANDS

HEAVY = frozenset(
    {
        "cleanlab",
        "label_studio_ml",
        "label_studio_sdk",
        "matplotlib",
        "pandas",
        "plotly",
        "scipy",
        "sentence_transformers",
        "sklearn",
        "torch",
        "transformers",
        "umap",
    }
)
LARGEST_IDLE = 300_000
"""Kilobytes that an idle server may take."""
HELPS = """
import json, os, sys
from ml_backend.cli.app import app
told = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
for command in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    try:
        app([command, "--help"] if command else ["--help"], prog_name="lsal")
    except SystemExit as ended:
        if ended.code == 0:
            packages = sorted({name.split(".")[0] for name in sys.modules})
            os.write(told, (json.dumps([command, packages]) + "\\n").encode())
    finally:
        os._exit(0)
"""
"""The help of each command in a process of its own; the commands' common start is made once."""
WORK = frozenset({"defusedxml", "filelock", "flask", "httpx", "PIL", "pydantic_settings", "requests", "tenacity"})
"""What a command needs to work, and its help does not."""
LISTS_STRATEGIES = "sync"
"""Its help has what each strategy says of itself, which is in the strategy's own module, beside its arrays."""
SERVER = (
    f"LARGEST_IDLE = {LARGEST_IDLE}"
    + """
import tempfile
from pathlib import Path
from ml_backend.config import Settings
from ml_backend.server import create_app
with tempfile.TemporaryDirectory() as folder:
    app = create_app(Settings(model_dir=Path(folder)))
    assert app.test_client().get("/health").status_code == 200
(resident,) = (line for line in open("/proc/self/status") if line.startswith("VmRSS"))
assert int(resident.split()[1]) < LARGEST_IDLE, resident
"""
)
FIT = """
import sys
import numpy as np
from ml_backend.models import heavy
heavy.load()
before = set(sys.modules)
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn
targets = np.array([0, 1] * 4)
for model, items in ((Headlines, ["flood", "match"] * 4), (MnistCnn, [np.zeros((28, 28), np.uint8)] * 8)):
    fitted = model(("a", "b"))
    fitted.fit(items, targets, seed=0, hyperparameters={"steps": 2})
    again = model.from_state(fitted.labels, *fitted.state())
    assert (again.probabilities(items) == fitted.probabilities(items)).all()
late = {name.split(".")[0] for name in set(sys.modules) - before}
assert not late & {"pandas", "scipy", "sklearn"}, late
"""
REPORT = """
import json, sys
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def imported(code: str) -> set[str]:
    """Packages that a fresh process has imported after some code."""
    done = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import ml_backend.config", SERVER], ids=["settings", "server"])
def test_a_start_is_light(code: str) -> None:
    assert imported(code) & HEAVY == set()


@pytest.fixture(scope="module")
def helped() -> dict[str, set[str]]:
    """Packages that are imported by the time the help of a command is told; that of the whole under an empty name."""
    command = [sys.executable, "-c", HELPS, "", *COMMANDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return {name: set(packages) for name, packages in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_nothing_that_works(helped: dict[str, set[str]], command: str) -> None:
    arrays = set() if command == LISTS_STRATEGIES else {"numpy"}
    assert helped[command] & (HEAVY | WORK | arrays) == set()


def test_help_of_the_whole_imports_no_command(helped: dict[str, set[str]]) -> None:
    assert helped[""] & (HEAVY | WORK | {"numpy", "pydantic"}) == set()


def test_a_training_imports_nothing_of_torchs_compiler_and_little_after_what_is_known_to_be_heavy() -> None:
    """The compiler is made of sympy, and two seconds of every process that runs a round."""
    assert "sympy" not in imported(FIT)
