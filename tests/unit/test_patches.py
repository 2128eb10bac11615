"""Tests pass clocks, limits and parts in; what they put in the place of a module's or a class's attribute is listed."""

from __future__ import annotations

import ast
from pathlib import Path

from support.places import REPOSITORY

TESTS = REPOSITORY / "tests"
ALLOWED = {
    ("live/test_annotators.py", "recheck.out_of_sample"): "a fault inside a round's step",
    ("live/test_faults_clocks.py", "LabelStudioHttp.server_time"): "Label Studio's clock jumps",
    ("live/test_faults_round.py", "ProjectStore.settle"): "a death between two writes of one round",
    ("live/test_logs.py", "serving.publish"): "an error that nobody foresaw",
    ("live/test_loop_closes.py", "ml_backend.store.project_store.ProjectStore.write_version"): "a full disk",
    ("live/test_rounds_redis.py", "queued_round.run_request"): "RQ calls the job by its name",
    ("unit/encoders/test_picture_vectors.py", "socket.socket.connect"): "whoever asks the network fails",
    ("unit/models/test_hardware.py", "torch.cuda.is_available"): "a machine with a GPU, or without one",
    ("contract/test_sentences.py", "socket.socket.connect"): "whoever asks the network fails",
    ("unit/test_docs.py", "sys.argv"): "a launcher run in this process",
}
"""File below ``tests/`` and what is patched there → why it cannot be passed in."""


def imported(tree: ast.Module) -> set[str]:
    """Names that a file's imports bind, wherever they stand."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def patched(source: str) -> list[str]:
    """What ``setattr`` of a MonkeyPatch replaces attributes of: a dotted path, or something that was imported."""
    tree = ast.parse(source)
    names, found = imported(tree), []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"):
            continue
        target = node.args[0]
        if isinstance(target, ast.Constant):
            found.append(str(target.value))
            continue
        attribute = node.args[1] if len(node.args) > 1 else None
        root = target
        while isinstance(root, ast.Attribute | ast.Call):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        if isinstance(root, ast.Name) and root.id in names:
            name = attribute.value if isinstance(attribute, ast.Constant) else "?"
            found.append(f"{ast.unparse(target)}.{name}")
    return found


def in_all_tests() -> set[tuple[str, str]]:
    """File and what is patched in it."""
    return {
        (path.relative_to(TESTS).as_posix(), name)
        for path in TESTS.rglob("*.py")
        for name in patched(path.read_text(encoding="utf-8"))
    }


def test_no_module_is_patched_but_for_a_reason() -> None:
    assert in_all_tests() == set(ALLOWED)


def test_patches_are_found(tmp_path: Path) -> None:
    source = """
import os
from a.b import c as d
def test(monkeypatch, thing):
    monkeypatch.setattr("a.b.LIMIT", 1)
    monkeypatch.setattr(d, "LIMIT", 1)
    monkeypatch.setattr(os.path, "join", None)
    monkeypatch.setattr(thing, "LIMIT", 1)
    monkeypatch.setattr(thing.os, "LIMIT", 1)
    monkeypatch.setitem(d, "LIMIT", 1)
"""
    assert patched(source) == ["a.b.LIMIT", "d.LIMIT", "os.path.join"]
