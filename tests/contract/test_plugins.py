"""Another package adds a strategy, a model and an encoder: everything that goes by the registries knows them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.plugins import install_example, write_dist_info

from ml_backend.strategies.registry import STRATEGIES

TEXTS = {"wet": "flood in the river after days of heavy rain", "dry": "football match tonight at home"}
SETTINGS = """
import json
from ml_backend.config import ProjectSettings
chosen = ProjectSettings(strategy="gini:0.5,random:0.5", text_model="plain_words", embedding="lengths")
print(json.dumps(chosen.model_dump()))
"""
FORM = """
import json, sys
from pathlib import Path
from ml_backend.config import Settings
from ml_backend.dashboard.reading.form import read_form
from ml_backend.store.project_store import ProjectStore
folder = Path(sys.argv[1])
rows = read_form(Settings(model_dir=folder), ProjectStore(folder, "1.1"))
print(json.dumps({row["name"]: [name for name, _ in row["options"]] for row in rows if row.get("options")}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the example in it."""
    folder = tmp_path_factory.mktemp("site")
    install_example(folder)
    return folder


def run(site: Path, *arguments: object, ok: bool = True) -> subprocess.CompletedProcess[str]:
    """Python with the packages of ``site``."""
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=env)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


def test_settings_take_their_names(site: Path) -> None:
    found = json.loads(run(site, "-c", SETTINGS).stdout)
    assert (found["strategy"], found["text_model"]) == ("gini:0.5,random:0.5", "plain_words")
    assert found["embedding"] == "lengths"


def test_without_the_package_the_names_are_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "-c", SETTINGS, ok=False).stderr
    assert "gini" in refused
    assert "plain_words" in refused or "text_model" in refused
    assert "lengths" in refused or "embedding" in refused


def test_the_command_line_lists_the_strategy(site: Path) -> None:
    shown = run(site, "-m", "ml_backend", "sync", "--help").stdout
    assert "gini" in shown
    assert "two draws from the model" in " ".join(shown.split())


def test_a_simulation_runs_with_it(site: Path, tmp_path: Path) -> None:
    pool = tmp_path / "labelled.csv"
    with pool.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        rows.writerows((f"{TEXTS[label]}, story {n}", label) for n in range(40) for label in TEXTS)
    out = tmp_path / "out"
    sizes = ("--initial", 4, "--batch", 4, "--budget", 12, "--seeds", 1, "--jobs", 1)
    chosen = ("-s", "gini", "-s", "random", "--text-model", "naive_bayes", "--embedding", "lengths")
    done = run(site, "-m", "ml_backend", "simulate", pool, *chosen, *sizes, "--out", out)
    assert "model naive_bayes" in done.stdout + done.stderr
    assert list(out.rglob("embedding-lengths-0.safetensors"))
    (summary,) = out.rglob("summary.csv")
    with summary.open(encoding="utf-8") as file:
        assert any("gini" in row for row in csv.reader(file))


def test_the_dashboards_settings_offer_them(site: Path, tmp_path: Path) -> None:
    offered = json.loads(run(site, "-c", FORM, tmp_path).stdout)
    assert "gini" in offered["strategy"]
    assert "plain_words" in offered["text_model"]
    assert "lengths" in offered["embedding"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nothing_of_this_name:X", "cannot be loaded: ModuleNotFoundError"),
        ("json:loads", "is a function, not a Strategy"),
    ],
)
def test_one_that_cannot_be_used_is_named_with_its_package_and_stops_nothing_else(
    tmp_path: Path, target: str, told: str
) -> None:
    write_dist_info(tmp_path, "broken-plugin", "0.3", {"ml_backend.strategies": {"broken": target}})
    code = "from ml_backend.strategies.registry import STRATEGIES; print(*STRATEGIES.usable(), 'broken' in STRATEGIES)"
    listed = run(tmp_path, "-c", code)
    assert listed.stdout.split() == [*STRATEGIES.usable(), "True"]
    assert "broken-plugin 0.3" in listed.stderr
    asked = run(tmp_path, "-c", "from ml_backend.config import ProjectSettings as P; P(strategy='broken')", ok=False)
    assert told in asked.stderr
    assert "broken-plugin 0.3" in asked.stderr


def test_a_taken_name_stays_the_products(tmp_path: Path) -> None:
    write_dist_info(tmp_path, "thief", "1.0", {"ml_backend.strategies": {"entropy": "json:loads"}})
    code = "from ml_backend.strategies.registry import STRATEGIES; print(type(STRATEGIES['entropy']).__name__)"
    done = run(tmp_path, "-c", code)
    assert done.stdout.split() == ["Strategy"]
    assert "thief 1.0 cannot add the strategy 'entropy'" in done.stderr
