"""Imports point down only: between the folders of README.md's picture, and between the files of one folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import ml_backend

PACKAGE = Path(ml_backend.__file__).parent
LAYERS = (
    ("errors", "records", "label_sets"),
    ("hardware", "draws", "files", "registry", "extras", "bounded_json", "fetching"),
    ("encoders",),
    ("models",),
    ("evaluation", "regions"),
    ("semi_supervised",),
    ("strategies",),
    ("setting_kinds", "setting_errors"),
    ("project_settings",),
    ("config",),
    ("logs",),
    ("label_studio",),
    ("store",),
    ("selection",),
    ("instant",),
    ("rounds",),
    ("importing",),
    ("pool",),
    ("jobs",),
    ("exporting",),
    ("simulation",),
    ("doctor",),
    ("dashboard",),
    ("predictor", "versions"),
    ("backend",),
    ("web",),
    ("server",),
    ("application",),
    ("wsgi",),
    ("cli",),
    ("__main__",),
)
"""Lowest first."""
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


def modules() -> dict[str, Path]:
    """Module → file, below the package: ``strategies.auto``; a folder's own ``__init__`` is the folder."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of the package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ml_backend":
            base = node.module.removeprefix("ml_backend").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                yield inner if inner in known else base
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("ml_backend.") for a in node.names if a.name.startswith("ml_backend."))


def part(module: str) -> str:
    """The folder, or the file beside the folders, that a module belongs to."""
    return module.split(".")[0]


def test_every_folder_has_a_layer() -> None:
    assert {part(module) for module in modules()} <= set(RANK)


def test_imports_between_folders_point_down() -> None:
    known = modules()
    wrong = [
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imported(path, known)
        if part(other) != part(module) and RANK[part(other)] >= RANK[part(module)]
    ]
    assert wrong == []


def test_files_of_one_folder_import_each_other_in_one_direction() -> None:
    known = modules()
    graph = {
        module: {other for other in imported(path, known) if part(other) == part(module) and other != module}
        for module, path in known.items()
    }
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
