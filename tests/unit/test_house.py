"""Files and functions that one person can read at a sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support.places import REPOSITORY

LONGEST_FILE, LONGEST_FUNCTION, LONGEST_TEST = 299, 49, 400
"""Lines."""
FILES = sorted(path for folder in ("ml_backend", "scripts") for path in (REPOSITORY / folder).rglob("*.py"))


def too_long(path: Path, root: Path = REPOSITORY) -> set[str]:
    """The file, where it is too long, and its functions that are."""
    source = path.read_text(encoding="utf-8")
    place = str(path.relative_to(root))
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = {f"{place}:{n.name}": (n.end_lineno or n.lineno) - n.lineno + 1 for n in functions}
    found = {name for name, length in lengths.items() if length > LONGEST_FUNCTION}
    return found | ({place} if len(source.splitlines()) > LONGEST_FILE else set())


def test_no_file_and_no_function_is_longer() -> None:
    assert set().union(*map(too_long, FILES)) == set()


def test_no_file_of_tests_is_longer() -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in (REPOSITORY / "tests").rglob("*.py")
    }
    assert {str(path.relative_to(REPOSITORY)) for path, length in lengths.items() if length > LONGEST_TEST} == set()


@pytest.mark.parametrize(("lines", "wanted"), [(49, set()), (50, {"x.py:f"})])
def test_a_long_function_is_found(lines: int, wanted: set[str], tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def f():\n" + "    pass\n" * (lines - 1), encoding="utf-8")
    assert too_long(path, tmp_path) == wanted
