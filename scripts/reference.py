"""Write the pages of docs/reference/ from the code: settings, commands, HTTP routes, strategies, store."""

from __future__ import annotations

import ast
import inspect
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import typer
from flask import Flask
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from strategies_table import document as strategies_page

import ml_backend.store
from ml_backend.cli.app import COMMANDS, load
from ml_backend.cli.common import console, new_app
from ml_backend.config import ProjectSettings, Settings
from ml_backend.files import atomic
from ml_backend.store import documents
from ml_backend.store.documents import DOCUMENTS, Shared
from ml_backend.store.manifest import Manifest

REPOSITORY: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = REPOSITORY / "docs" / "reference"
MADE: Final = "<!-- Made by scripts/reference.py from the code; a test compares. -->"
LIMITS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
SHARED: Final = {
    Shared.STATE: "with the project's state",
    Shared.AT_ONCE: "by itself, whenever it is written",
    Shared.MERGED: "with the state; lines of several machines are put together",
    Shared.LOCAL: "not at all",
}

app = new_app()


@app.command(help=__doc__)
def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a page is old.")] = False,
) -> None:
    """Write the pages, or compare them."""
    old = outdated()
    if check:
        for name in old:
            console.print(f"docs/reference/{name} is not what the code says: run python scripts/reference.py")
        raise typer.Exit(1 if old else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        atomic.write_text(FOLDER / name, make())
    console.print(f"docs/reference: {len(PAGES)} pages, {len(old)} of them changed.", highlight=False)


def outdated() -> list[str]:
    """Names of the pages that are missing or not what the code says."""
    return [name for name, make in PAGES.items() if not _same(FOLDER / name, make())]


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def settings_page() -> str:
    """Every setting with its type, limits, default and meaning."""
    project = [_setting(f"`{name}`", field) for name, field in ProjectSettings.model_fields.items()]
    installation = [_setting(f"`{name.upper()}`", field) for name, field in Settings.model_fields.items()]
    head = ("name", "values", "default", "meaning")
    return _page(
        "Settings",
        "How to choose: [tune a project](../howto/tune.md).",
        "## Project",
        "Extra params of the backend in Label Studio (Settings > Model), as JSON: "
        '`{"strategy": "entropy", "queue_size": 100}`. The dashboard, beside **Train now**, writes the same. '
        "They hold from the next round on.",
        _table(head, project),
        "## Installation",
        "Environment variables, read by every command; a wrong value is reported at start. Secrets are never shown.",
        _table(head, installation),
    )


def _setting(name: str, field: FieldInfo) -> tuple[str, ...]:
    default = field.get_default(call_default_factory=True)
    shown = "" if default is None else f"`{_json(default)}`"
    return name, _values(field), shown, f"{field.description or ''}"


def _values(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(rule, name):,}"
        for rule in field.metadata
        for name, sign in LIMITS.items()
        if getattr(rule, name, None) is not None
    ]
    nullable = ["or null"] if type(None) in get_args(field.annotation) and field.default is not None else []
    return ", ".join([_type(field.annotation), *limits, *nullable])


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    names = {int: "integer", float: "number", bool: "true or false", str: "text", Path: "path", type(None): "null"}
    if annotation in names:
        return names[annotation]
    if get_origin(annotation) is dict:
        return "object"
    parts = [_type(part) for part in get_args(annotation) if part is not type(None)]
    return " or ".join(parts) if parts else "secret text"


def _json(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if not isinstance(value, float) else f"{value:g}"


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = [f"- [`lsal {name}`](#lsal-{name}): {help_}" for name, (_, help_) in COMMANDS.items()]
    sections = [section for name in COMMANDS for section in _command(f"lsal {name}", load(name))]
    return _page(
        "Commands",
        "After `pip install` they are sub-commands of `lsal`; `python -m ml_backend` is the same. From a checkout, "
        "`python scripts/sync.py` is `lsal sync`, and so on. They end with exit code 1 and one line when something is "
        "wrong, and with 130 after Ctrl-C.",
        "\n".join(parts),
        *sections,
    )


def _command(path: str, command: Any, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {path}"
    yield _paragraphs(command.help or "")
    context = command.make_context(path, [], resilient_parsing=True)
    children = getattr(command, "commands", {})
    usage = [path, *(part.replace("[OPTIONS]", "[options]") for part in command.collect_usage_pieces(context))]
    yield f"```text\n{' '.join(usage)}\n```"
    rows = [row for parameter in command.params if (row := _parameter(parameter, context))]
    if rows:
        yield _table(("argument or option", "meaning", "default"), rows)
    for name, child in children.items():
        yield from _command(f"{path} {name}", child, level + 1)


def _parameter(parameter: Any, context: Any) -> tuple[str, ...] | None:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return None
    names = [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []
    shown = ", ".join(f"`{name}`" for name in names) or f"`{parameter.metavar or parameter.name.upper()}`"
    required = "required" if parameter.required else ""
    return shown, parameter.help or "", required or _default(parameter, parameter.get_default(context, call=False))


def _default(parameter: Any, value: Any) -> str:
    if value is None or value is False or value in ("", (), []) or callable(value):
        return ""
    if isinstance(value, Path) and value.is_relative_to(REPOSITORY):
        value = value.relative_to(REPOSITORY)  # where this checkout lies concerns nobody
    return f"`{parameter.opts[0] if value is True else getattr(value, 'value', value)}`"


def http_page() -> str:
    """Every route of the backend, with what its function says of itself."""
    rows = [row for server, rule in routes() if (row := _route(server, rule)) is not None]
    return _page(
        "HTTP",
        "Routes of `lsal serve`. With `BASIC_AUTH_USER` and `BASIC_AUTH_PASS` set, all but `/` and `/health` ask for "
        'basic auth. Errors are JSON: `{"error": "what is wrong"}`.',
        _table(("route", "methods", "what it does"), rows),
        "The fields of the dashboard's data: [the same as JSON](../howto/dashboard.md#the-same-as-json).",
    )


def routes() -> list[tuple[Flask, Any]]:
    """The rules of the backend and of its dashboard, each with its application."""
    from ml_backend.dashboard.site import make_site
    from ml_backend.jobs.local_queue import LocalRoundQueue
    from ml_backend.server import create_app

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model_dir=Path(folder))
        rounds = LocalRoundQueue(lambda *_: {})
        servers = (create_app(settings, rounds=rounds), make_site(settings, rounds, None))
    return sorted(((s, rule) for s in servers for rule in s.url_map.iter_rules()), key=lambda pair: pair[1].rule)


def _route(server: Flask, rule: Any) -> tuple[str, ...] | None:
    """A row for a route of ours; what Dash and Flask add by themselves has none."""
    view = inspect.unwrap(server.view_functions[rule.endpoint])
    if not view.__module__.startswith("ml_backend."):
        return None
    methods = sorted(rule.methods - {"HEAD", "OPTIONS"})
    return f"`{rule.rule}`", "all" if len(methods) > 2 else ", ".join(methods), _sentence(view.__doc__)


def store_page() -> str:
    """The folders and files of the store, as its modules declare them."""
    modules = [import_module(f"ml_backend.store.{found.name}") for found in iter_modules(ml_backend.store.__path__)]
    layouts = [text for module in modules if "::" in (module.__doc__ or "") for text in _layout(module)]
    rows = [(f"`{name}`", _sentence(text)) for name, text in field_docs(Manifest).items()]
    told = document_docs()
    shared = [(f"`{entry.name}`", _sentence(told.get(entry.name)), SHARED[entry.how]) for entry in DOCUMENTS]
    return _page(
        "Store",
        "What is kept in `MODEL_DIR`, and in `STORE_URL` where several machines share it "
        "([several machines](../howto/scale-out.md)). File names stay from release to release.",
        *layouts,
        "## How files are shared",
        "Between the machines that share a store. What is not listed goes with the project's state.",
        _table(("file", "what is in it", "shared"), shared),
        "## Fields of `model.json`",
        _table(("field", "meaning"), rows),
    )


def _layout(module: ModuleType) -> Iterator[str]:
    """A module's docstring: its first line as a heading, its drawing as a block of code."""
    first, _, rest = inspect.cleandoc(module.__doc__ or "").partition("\n")
    yield f"## {first.rstrip('.')}"
    block: list[str] = []
    for paragraph in rest.strip().split("\n\n"):
        if paragraph.startswith("    "):
            block.append(textwrap.dedent(paragraph).strip())
        elif paragraph.strip() != "::":
            yield from _drawn(block)
            block = []
            yield paragraph.replace("``", "`")
    yield from _drawn(block)


def _drawn(block: list[str]) -> Iterator[str]:
    if block:
        yield "```text\n" + "\n\n".join(block) + "\n```"


def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """Each field and the string below it in the source; empty where there is none."""
    body = ast.parse(inspect.getsource(model)).body[0].body  # type: ignore[attr-defined]
    return {name: text for name, text in _strings_below(body) if name in model.model_fields}


def document_docs() -> Mapping[str, str]:
    """Each declared document's name and the string below its declaration; empty where there is none."""
    below = dict(_strings_below(ast.parse(inspect.getsource(documents)).body))
    return {getattr(documents, name): text for name, text in below.items() if isinstance(getattr(documents, name), str)}


def _strings_below(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            yield node.target.id, str(text)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", MADE, *(part for part in parts if part)]).rstrip() + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _paragraphs(text: str) -> str:
    parts = [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ").replace(":\n- ", ":\n\n- ")


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("``", "`")


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "http.md": http_page,
    "strategies.md": strategies_page,
    "store.md": store_page,
}


if __name__ == "__main__":
    app()
