"""What the README names exists, and what exists is named there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from support.places import REPOSITORY

from ml_backend.config import ProjectSettings, Settings
from ml_backend.strategies.registry import STRATEGIES

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(p for p in (REPOSITORY / "scripts").glob("*.py") if "__main__" in p.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*(n.upper() for n in Settings.model_fields), *ProjectSettings.model_fields])
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("path", [path for path in COMMANDS if path.name != "demo.py"], ids=lambda path: path.name)
def test_every_command_is_in_the_readme(path: Path) -> None:
    assert f"`scripts/{path.name}`" in README


def test_every_file_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"\]\(([\w/.-]+)\)", README)) | set(re.findall(r"`((?:scripts|tests)/[\w.]+\.py)`", README))
    assert named
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_every_command_explains_itself_from_any_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process: in one of its own each would import torch again, two minutes for all.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Usage" in shown
    assert "--" in shown
