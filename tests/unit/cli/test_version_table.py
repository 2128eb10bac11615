"""The list of versions on terminals of several widths."""

import io
import re

import pytest
from rich.console import Console
from support.stores import manifest
from typer.testing import CliRunner

from ml_backend.cli.version_table import print_versions
from ml_backend.cli.versions import app
from ml_backend.store.project_store import ProjectStore

NAMES = ("headlines-0001-abcdef12", "sentence-multilingual-0123-fedcba98")
ROWS = [
    {
        "version": name,
        "damaged": False,
        "created_at": "2026-01-02T03:04:05+00:00",
        "labels": 1234,
        "accuracy": 0.9123,
        "f": 0.5,
        "auc": None,
        "promoted": True,
        "use": "current, pinned",
        "bytes": 12_300_000,
    }
    for name in NAMES
]


def shown(width, *, terminal=True):
    console = Console(width=width, file=io.StringIO(), force_terminal=terminal, color_system=None)
    print_versions(console, ROWS)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_names_and_figures_are_whole_and_other_columns_give_way(width):
    told = shown(width)
    assert all(name in told for name in NAMES)
    assert "\N{HORIZONTAL ELLIPSIS}" not in told
    assert max(map(len, told.splitlines())) <= width or width == 60
    assert ("Not shown for want of space: size" in told) == (width < 200)
    assert told.count("current, pinned") == 2
    assert told.count("0.912") == (0 if width == 60 else 2)


def test_in_a_pipe_nothing_gives_way(capsys):
    told = shown(80, terminal=False)
    assert "Not shown" not in told
    assert all(f"{name} " in told for name in NAMES)
    assert told.count("12.3 MB") == 2


def test_a_name_wider_than_the_terminal_is_folded_and_not_cut():
    told = shown(30)
    assert "\N{HORIZONTAL ELLIPSIS}" not in told
    assert NAMES[1] in re.sub(r"[^\w-]*\n[^\w-]*", "", told)


def test_a_version_that_guesses_is_told_where_it_is_listed(tmp_path):
    store = ProjectStore(tmp_path, "7.1")
    store.set_extra_params({})
    found = {"guessing": True, "sentence": "no better than guessing: so it is"}
    for made in (manifest(1), manifest(2).model_copy(update={"guessing": found})):
        store.write_version(made, {})
    told = CliRunner().invoke(app, ["list", "--project", "7", "--model-dir", str(tmp_path)]).output
    assert told.count("no better than guessing") == 1, told
    assert "m-0002-0123abcd is no better than guessing: so it is." in " ".join(told.split())
