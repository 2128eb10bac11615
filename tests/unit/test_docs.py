"""What the documentation names exists, and what exists is named there."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from tokenize import COMMENT, generate_tokens

import numpy as np
import pytest
from reference import PAGES, document_docs, field_docs, http_page, outdated, routes
from support.examples import LABELS, sentences
from support.extend_page import extended
from support.places import REPOSITORY

from ml_backend.cli.app import COMMANDS, load
from ml_backend.config import ProjectSettings, Settings
from ml_backend.dashboard.pages.registry import PAGES as DASHBOARD_PAGES
from ml_backend.encoders.base import Encoder
from ml_backend.models.base import Model
from ml_backend.registry import lacking_members
from ml_backend.store.documents import DOCUMENTS as STORED
from ml_backend.store.manifest import Manifest
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.registry import pick

README = REPOSITORY / "README.md"
DOCUMENTS = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "data" / "README.md"]
WRITTEN = [path for path in DOCUMENTS if path.parent.name != "reference" and path.name != "CHANGELOG.md"]
"""By people, for today: neither made from the code, nor about what was."""
LAUNCHERS = sorted(p for p in (REPOSITORY / "scripts").glob("*.py") if "__main__" in p.read_text(encoding="utf-8"))
MEASURED = re.compile(r"\d\s?%(?! interval)|\d\s?ms\b|±|\d times\b")
MEASURED_IN_CODE = re.compile(
    r"\d\s?%(?! (?:\w+ )?interval)|(?<!-)\d\s?(?:ms|s|seconds|minutes)\b"
    r"|\d (?:points|times)\b|\b(?:F|AUC|ECE)(?: of)? \d"
)
MODULES = sorted((REPOSITORY / "ml_backend").rglob("*.py"))
RIDDLES = ("the others are told", "less those that there are", "looks for", "what it looks at", "is told the others")

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
each_written = pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(REPOSITORY)))


def code_blocks(text: str, language: str) -> list[str]:
    return [block for kind, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.M | re.S) if kind == language]


@cache
def anchors(path: Path) -> set[str]:
    """Of all headings, as GitHub makes them."""
    prose = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@each_document
def test_every_link_leads_somewhere(path: Path) -> None:
    assert list(broken_links(path)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `page`, here\n[a](page.md#a-page-here) [b](#nowhere) [c](none.md)\n", encoding="utf-8")
    assert list(broken_links(page)) == ["#nowhere", "none.md"]


def wrong_commands(text: str) -> Iterator[str]:
    """Each ``lsal`` line whose command or options do not exist."""
    shell = [line for block in code_blocks(text, "sh") for line in block.splitlines()]
    inline = re.findall(r"`(lsal [^`]+)`", text)
    parts = [part for line in shell for part in line.split("&&")]
    for number, typed in enumerate([*parts, *inline]):
        words = shlex.split(typed, comments=True)
        if words[:1] == ["lsal"] and not is_command(words[1:], whole=number < len(parts)):
            yield typed.strip()


def is_command(words: list[str], *, whole: bool) -> bool:
    """Whether it can be typed so; one that is named in a sentence may leave out what it needs."""
    if not words or words[0] not in COMMANDS:
        return words[:1] in (["--help"], ["COMMAND"])
    command, rest = load(words[0]), words[1:]
    if children := getattr(command, "commands", None):
        if rest and rest[0] not in children:
            return False
        command, rest = (children[rest[0]], rest[1:]) if rest else (command, rest)
    options = [param for param in command.params if param.param_type_name == "option"]
    known = {"--help"}.union(*([*option.opts, *option.secondary_opts] for option in options))
    given = {word.partition("=")[0] for word in rest if word.startswith("-")}
    lacking = any(option.required and not given.intersection(option.opts) for option in options)
    return given <= known and not (whole and lacking and "--help" not in given)


@each_written
def test_every_command_and_option_exists(path: Path) -> None:
    assert list(wrong_commands(path.read_text(encoding="utf-8"))) == []


def test_a_wrong_option_is_found() -> None:
    text = "```sh\nlsal sync --project 1 && lsal sync --fast   # now\nlsal versions lst\n```\n`lsal nothing`"
    assert list(wrong_commands(text)) == ["lsal sync --fast   # now", "lsal versions lst", "lsal nothing"]
    assert list(wrong_commands("```sh\nlsal doctor\nlsal doctor --help\n```\n`lsal doctor` says")) == ["lsal doctor"]


@each_written
def test_every_target_of_make_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w$().-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {name for name in re.findall(r"(?:^|`)\s*make ([\w.-]+)", text, re.M) if not name.startswith(".")}
    assert named - targets == set()
    benches = {found.stem for found in (REPOSITORY / "scripts" / "bench").glob("*.py")}
    assert set(re.findall(r"BENCH=(\w+)", text)) - benches - {"NAME"} == set()


@each_written
def test_every_file_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:scripts|tests|docs|label_configs|ml_backend)/[\w/.-]+\.(?:py|md|xml)\b", text))
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists() and "/my_" not in name] == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_readme_leads_to_every_page() -> None:
    """Itself, or by the list of the benchmarks."""
    linked = {
        (index.parent / name).resolve()
        for index in (README, REPOSITORY / "docs" / "benchmarks.md")
        for name in re.findall(r"\]\(([\w/.-]+\.md)", index.read_text("utf-8"))
    }
    assert [str(path) for path in DOCUMENTS if path != README and path not in linked] == []


@pytest.mark.parametrize("path", [p for p in WRITTEN if p.parent.name in (REPOSITORY.name, "howto", "explanation")])
def test_measured_results_stand_in_the_benchmarks(path: Path) -> None:
    assert MEASURED.findall(path.read_text(encoding="utf-8")) == []


def prose_of(source: str) -> Iterator[str]:
    """Docstrings, explained constants and comments of a module, each on one line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())
    yield from (token.string for token in generate_tokens(StringIO(source).readline) if token.type == COMMENT)


def measured(source: str) -> list[str]:
    """The texts of a module that give a measured result: a percentage, a time, a factor or a score."""
    return [text for text in prose_of(source) if MEASURED_IN_CODE.search(text)]


def test_no_measured_result_in_the_code() -> None:
    found = {str(path.relative_to(REPOSITORY)): measured(path.read_text(encoding="utf-8")) for path in MODULES}
    wrong = {name: texts for name, texts in found.items() if texts}
    assert wrong == {}, "move them to a page of docs/benchmarks/, each with its command"


@pytest.mark.parametrize(
    "text",
    ["wins 5 % more", "takes 12 s", "6 to 12 seconds", "7 ms each", "100 times faster", "F 0.20", "an AUC of 0.7"],
)
def test_a_measured_result_in_the_code_is_found(text: str) -> None:
    assert measured(f'"""{text}"""\n') == [text]
    assert measured(f"LIMIT = 1\n# {text}\n") == [f"# {text}"]
    assert measured(f"LIMIT = {text!r}\n") == []  # what users read while it runs


def test_every_message_that_is_explained_exists() -> None:
    text = (REPOSITORY / "docs" / "howto" / "troubleshoot.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    messages = re.findall(r"^\| `([^`]+)`", text, re.M)
    pieces = [max(re.split(r"\.\.\.|\d+|[</\"\[(,]", message), key=len).strip() for message in messages]
    assert [piece for piece in pieces if piece not in code] == []
    assert len(pieces) > 10


@each_written
def test_plain_words(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [riddle for riddle in RIDDLES if riddle in text] == []


def test_the_reference_is_what_the_code_says() -> None:
    assert outdated() == [], "run python scripts/reference.py"
    assert {path.name for path in (REPOSITORY / "docs" / "reference").iterdir()} == set(PAGES)


def test_every_setting_has_a_meaning() -> None:
    fields = {**ProjectSettings.model_fields, **Settings.model_fields}
    assert [name for name, field in fields.items() if not field.description] == []


def test_every_route_and_every_field_of_a_version_is_explained() -> None:
    assert [line for line in http_page().splitlines() if line.endswith("|  |")] == []
    assert [name for name, text in field_docs(Manifest).items() if not text] == []
    assert [document.name for document in STORED if not document_docs().get(document.name)] == []
    assert len(routes()) > 20


def test_the_changelog_has_one_section_for_what_is_not_released() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    sections = re.findall(r"^## \[(.+?)\](.*)$", text, re.M)
    names = [name for name, _ in sections]
    assert len(set(names)) == len(names)
    assert all(name == "Unreleased" or "not" not in rest for name, rest in sections), "released, or Unreleased"
    assert version in names or text.partition("## [Unreleased]")[2].lstrip().startswith(f"This will be {version}.")
    newest = text.split("\n## [")[1]
    assert len(set(told := re.findall(r"^- .+", newest, re.M))) == len(told)
    kinds = re.findall(r"^### (.+)$", newest, re.M)
    known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    assert kinds == [kind for kind in known if kind in kinds]


@each_document
def test_no_page_names_a_place_on_somebodys_machine(path: Path) -> None:
    assert str(REPOSITORY) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", DASHBOARD_PAGES, ids=lambda page: page.path)
def test_every_page_of_the_dashboard_and_its_data_are_explained(page: object) -> None:
    text = (REPOSITORY / "docs" / "howto" / "dashboard.md").read_text(encoding="utf-8")
    assert f"| {page.title} |" in text
    assert f"`projects/<id>/{page.path}`" in text


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.name)
def test_every_launcher_explains_itself_from_any_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process: in one of its own each would import everything again.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Usage" in shown
    assert "--" in shown


def test_the_strategy_of_the_extend_page_works() -> None:
    strategy = extended()["my_gini"].GINI
    probabilities = np.array([[[1.0, 0.0]], [[0.5, 0.5]], [[0.9, 0.1]]])
    zeros = np.zeros(3)
    inputs = StrategyInputs(task_ids=np.arange(3), draws=zeros, noise=zeros, probabilities=probabilities)
    assert strategy.score(inputs).tolist() == pytest.approx([0, 1, 0.36])
    assert pick(strategy, inputs, 2).order.tolist() == [1, 2]


def test_encoder_and_model_of_the_extend_page_work() -> None:
    encoder, model_class = extended()["my_trigrams"].Trigrams, extended()["my_trigram_linear"].TrigramLinear
    items, targets = sentences(24)
    assert encoder.learn(items, seed=0).embed(items).shape == (24, 256)
    model = model_class(LABELS)
    model.fit(items, targets, seed=0)
    assert (model.probabilities(items)[:, 0].argmax(axis=1) == targets).all()
    rebuilt = model_class.from_state(LABELS, *model.state())
    assert np.array_equal(model.probabilities(items, samples=3), rebuilt.probabilities(items, samples=3))
    assert (
        lacking_members(encoder, Encoder, "trigrams") is lacking_members(model_class, Model, "trigram_linear") is None
    )
