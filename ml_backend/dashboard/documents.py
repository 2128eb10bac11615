"""The documentation as pages of this server, available without network and from an installed package.

``docs/`` beside this file links to each document of the repository; a wheel contains the documents themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from itertools import count
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response
from werkzeug.exceptions import NotFound

from ml_backend.dashboard.address import ICON, PREFIX, link

if TYPE_CHECKING:
    from markdown_it.token import Token

FOLDER: Final = Path(__file__).parent / "docs"
FOLDER_URL: Final = "docs/"
GROUPS: Final = {
    "": "Start here",
    "explanation": "What it means",
    "howto": "How to",
    "reference": "Reference",
    "benchmarks": "Figures",
}
"""Folder → its heading in the list of documents, in this order."""
EXPLAINED: Final = {
    "labels": "explanation/measures#labels-so-far",
    "accuracy": "explanation/measures#accuracy",
    "f-score": "explanation/measures#f-score",
    "AUC": "explanation/measures#auc",
    "queue": "explanation/measures#the-queue",
    "control tasks": "explanation/measures#control-tasks",
    "labels saved": "explanation/measures#labels-saved",
    "going on": "explanation/measures#go-on-or-stop",
    "loss": "explanation/measures#loss",
    "corrections": "howto/predictions#what-people-corrected",
    "calibration error": "explanation/measures#calibration-error",
    "evaluation tasks": "explanation/measures#evaluation-tasks",
    "held back": "explanation/measures#better-worse-held-back",
    "learning from tasks without a label": "explanation/learning-from-the-pool",
    "strategies": "reference/strategies",
    "several questions": "howto/questions#several-at-once",
    "settings": "howto/tune",
    "rounds": "explanation/rounds",
    "whole sets": "explanation/measures#answers-with-several-choices",
    "errors by label": "explanation/measures#answers-with-several-choices",
    "confusion matrix": "explanation/measures#confusion-matrix",
    "doubts": "explanation/measures#annotations-in-doubt",
    "map": "howto/dashboard#the-map",
    "pinning": "howto/dashboard#change-the-order",
    "reasons": "howto/dashboard#why-a-task-is-queued",
    "search": "howto/search",
    "pool outside": "howto/pool#let-people-label-it",
    "many at once": "howto/search#one-label-for-many",
}
"""A topic that a page explains with a `?` → the document and its heading."""
PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Active learning</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{prefix}assets/dashboard.css"></head>
<body><a class="skip" href="#main">Skip to the content</a>
<header id="masthead"><div class="bar-top"><a class="home" href="{prefix}">Active learning</a>
<a href="{address}">Documentation</a></div></header>
<main id="main" tabindex="-1"><article class="card document">{body}</article></main></body></html>
"""


def address_of(topic: str) -> str:
    """Where a topic of `EXPLAINED` is explained."""
    return link(FOLDER_URL + EXPLAINED[topic])


def names() -> list[str]:
    """All documents, such as ``explanation/measures``."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md"))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def title(name: str) -> str:
    """A document's first heading."""
    with (FOLDER / f"{name}.md").open(encoding="utf-8") as lines:
        return next((line[2:].strip() for line in lines if line.startswith("# ")), name)


def rendered(name: str) -> str:
    """A document of `names` as HTML. HTML inside it is shown as text."""
    return _rendered(name, link())


@cache
def _rendered(name: str, base: str) -> str:
    """The document, with links that begin with ``base``."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    addresses = {other: f"{base}{FOLDER_URL}{other}" for other in names()}
    tokens = reader.parse((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    drawn: str = reader.renderer.render(_adapted(tokens, name, addresses), reader.options, {})
    # Scrollable parts must be reachable by keyboard.
    number = count(1)
    drawn = re.sub(
        "<table>",
        lambda _: f'<div class="table" tabindex="0" role="region" aria-label="Table {next(number)}"><table>',
        drawn,
    )
    return drawn.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')


def _adapted(tokens: list[Token], name: str, known: Mapping[str, str]) -> list[Token]:
    """Tokens with anchors at headings, links that lead to our pages, and images replaced by their texts."""
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            token.attrSet("id", slug(_text(following)))
        if token.children:
            token.children = list(_inline(token.children, name, known))
    return tokens


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _inline(children: Iterable[Token], name: str, known: Mapping[str, str]) -> Iterator[Token]:
    left_out = 0
    for child in children:
        if child.type == "link_open":
            target = _target(str(child.attrGet("href")), name, known)
            if target is None:  # a file that is not part of the package: its words stay
                left_out += 1
                continue
            child.attrSet("href", target)
        elif child.type == "link_close" and left_out:
            left_out -= 1
            continue
        elif child.type == "image":
            child.type, child.tag, child.attrs = "text", "", {}
        yield child


def _target(href: str, name: str, known: Mapping[str, str]) -> str | None:
    """Where a link of a document leads on this server; None if it leads nowhere."""
    if href.startswith(("http://", "https://", "#")):
        return href
    path, _, anchor = href.partition("#")
    found = normpath(join(dirname(name), path)).removesuffix(".md")
    return known[found] + (f"#{anchor}" if anchor else "") if found in known else None


def index() -> str:
    """The list of documents."""
    groups: dict[str, list[str]] = {folder: [] for folder in GROUPS}
    for name in names():
        groups.setdefault(dirname(name), []).append(name)
    content = ["<h1>Documentation</h1>"]
    for folder, found in groups.items():
        entries = "".join(f'<li><a href="{link(FOLDER_URL + name)}">{escape(title(name))}</a></li>' for name in found)
        content.append(f"<h2>{escape(GROUPS.get(folder, folder))}</h2><ul>{entries}</ul>")
    return "".join(content)


def page(heading: str, body: str) -> str:
    """A whole page."""
    return PAGE.format(title=escape(heading), prefix=link(), icon=ICON, address=link(FOLDER_URL), body=body)


def add_documents(site: Flask) -> None:
    """Answer requests below `FOLDER_URL`."""
    views: Mapping[str, Any] = {"mimetype": "text/html"}

    @site.get(PREFIX + FOLDER_URL)
    def documents() -> Response:
        """The documentation: the list of its pages."""
        return Response(page("Documentation", index()), **views)

    @site.get(f"{PREFIX}{FOLDER_URL}<path:name>")
    def document(name: str) -> Response:
        """A page of the documentation."""
        if name not in names():
            raise NotFound(f"There is no document of this name; {link(FOLDER_URL)} lists all.")
        return Response(page(title(name), rendered(name)), **views)
