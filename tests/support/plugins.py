"""Packages as an installer leaves them: a module beside a dist-info with entry points."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from support.places import REPOSITORY

EXAMPLE = REPOSITORY / "tests" / "support" / "plugin"


def install_example(site: Path) -> None:
    """Put the example package where Python finds it, as `pip install` does; nothing is built, no network is asked."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(EXAMPLE / "example_plugin", site / "example_plugin", ignore=shutil.ignore_patterns("__pycache__"))
    write_dist_info(site, project["name"], project["version"], project["entry-points"])


def write_dist_info(site: Path, name: str, version: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """What `importlib.metadata` reads of an installed distribution."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [
        f"[{group}]\n" + "".join(f"{entry} = {target}\n" for entry, target in points.items())
        for group, points in groups.items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
