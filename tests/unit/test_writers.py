"""All that is kept on the disk is written by `ml_backend.files`: whole, or not at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("ml_backend", "scripts") for path in (ROOT / folder).rglob("*.py"))
WRITER = "ml_backend/files.py"
STREAMS = {"scripts/processes.py": "the output of a program, written by the program itself"}
"""Files that may be open for writing, because no content of them is ever complete."""
WAYS = frozenset(
    (
        *("write_text", "write_bytes", "write_json", "write_html", "write_image", "save_file", "savefig", "tofile"),
        *("savez", "savez_compressed", "savetxt", "to_csv", "to_parquet", "extractall", "NamedTemporaryFile"),
        *("copyfile", "copy2", "copytree", "rename", "symlink_to", "hardlink_to"),
    )
)
"""Names that write a file, or put one in its place, whatever they belong to."""
OF_MODULES = frozenset(
    {
        *(f"{module}.dump" for module in ("json", "pickle", "yaml", "joblib")),
        *(f"shutil.{name}" for name in ("copy", "move")),
        *("torch.save", "np.save", "os.replace", "os.write", "os.link", "os.symlink"),
    }
)
TAKES_STAGED = frozenset({"write_with", "write_folder", "write_together"})
WRITERS = frozenset({"atomic", "for_people", "writer", "_writer"})
"""What an `AtomicWriter` is called."""


def writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and source of everything in a module that writes, but through an `AtomicWriter` or to a staged path."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    staged = {node.name for node in functions if _takes_staged(node)}
    allowed = {id(part) for node in functions if node.name in staged for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in TAKES_STAGED | staged:
            allowed |= {id(part) for argument in [*node.args, *node.keywords] for part in ast.walk(argument)}
    for node in ast.walk(tree):
        if id(node) not in allowed and _writes(node):
            yield node.lineno, ast.unparse(node)


def _takes_staged(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return any("Staged" in ast.unparse(argument.annotation) for argument in arguments if argument.annotation)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _writes(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        by_us = _name(node.value) in WRITERS and node.attr not in ("rename",)
        return ast.unparse(node) in OF_MODULES or (node.attr in WAYS and not by_us)
    if isinstance(node, ast.Name):
        return node.id in WAYS
    if not isinstance(node, ast.Call):
        return False
    if _name(node.func) == "replace":  # of a path; that of a text has two arguments, that of a record names them
        return isinstance(node.func, ast.Attribute) and len(node.args) == 1 and not node.keywords
    if _name(node.func) not in ("open", "fdopen"):
        return False
    known = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    known += [k.value.value for k in node.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
    return any(set(mode) <= set("rwaxbt+U") and set(mode) & set("wax+") for mode in known)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_writes_by_itself(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = list(writes(ast.parse(path.read_text(encoding="utf-8"))))
    if name == WRITER or name in STREAMS:
        assert found, "no exception is needed any more: take it out"
        return
    assert not found, "write through `ml_backend.files`: atomic.write_text, write_with, write_folder, append_line"


@pytest.mark.parametrize(
    "source",
    [
        "path.write_text('x')",
        "path.open('w')",
        "open(path, 'ab')",
        "open(path, mode='r+')",
        "path.open(mode='x', encoding='utf-8')",
        "half.replace(path)",
        "os.replace(half, path)",
        "shutil.move(half, path)",
        "figure.savefig(path)",
        "from safetensors.numpy import save_file\nsave_file(arrays, path)",
        "def keep(path: Path) -> None:\n    path.write_bytes(b'')",
        "run(partial(np.savez, path))",
        "json.dump(content, stream)",
        "with tempfile.NamedTemporaryFile(delete=False) as file:\n    pass",
    ],
)
def test_every_way_to_write_is_found(source: str) -> None:
    assert list(writes(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "atomic.write_text(path, 'x')",
        "self._writer.write_bytes(path, b'')",
        "atomic.write_with(path, lambda staged: save_file(arrays, staged))",
        "atomic.write_with(path, figure.savefig)",
        "def fill(folder: Staged) -> None:\n    (folder / 'a').write_text('x')",
        "def put(path: Path, write: Callable[[Staged], object]) -> None: ...\nput(path, partial(copyfile, origin))",
        "open(path)",
        "path.open('rb')",
        "stores.open('a-project')",
        "text.replace('a', 'b')",
        "when.replace(tzinfo=UTC)",
        "image.save(buffer, format='PNG')",
    ],
)
def test_what_is_no_such_way(source: str) -> None:
    assert not list(writes(ast.parse(source)))
