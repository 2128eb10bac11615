"""Part of the overview about a pool outside Label Studio."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dash import html

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.pages.base import Data

KINDS = {"best": "the model is least sure of", "drawn": "chance drew", "near": "are near labelled ones"}


def section(data: Data) -> list[Any]:
    """Its size, how much is embedded, and what the last pass over all rows found; empty without a pool."""
    pool = data["outside"]
    if pool is None:
        return []
    last = pool["last"] or {}
    bad = f" · {pool['bad']:,} cannot be read" if pool["bad"] else ""
    rows = [
        ("Rows", f"{pool['rows']:,}", f"{pool['embedded']:,} are embedded{bad}", None),
        ("Tasks of the pool", f"{last.get('tasks', 0):,}", _fed(last), None),
        ("Last look at all rows", words.ago(last.get("at"), datetime.fromisoformat(data["now"])), _took(last), None),
    ]
    content: list[Any] = [parts.figures(rows)]
    if last.get("problem"):
        told = f"{last['problem']} The tasks that are in Label Studio are ordered all the same."
        content.insert(0, parts.notice(f"Nothing new came from the pool in the last round: {told}", "warning"))
    elif last.get("candidates"):
        kinds = ", ".join(f"{last[kind]:,} that {words_of}" for kind, words_of in KINDS.items() if last[kind])
        told = f"The queue was chosen from {last['candidates']:,} rows and the tasks that were open: {kinds}."
        told += " One row may be several of these."
        content.append(html.P(told, className="note"))
    note = html.Span(pool["url"], className="code")
    return [parts.section("The pool outside Label Studio", *content, note=note, topic="pool outside")]


def _fed(last: Data) -> str:
    return f"{last.get('fed', 0):,} of them since the last round"


def _took(last: Data) -> str | None:
    if not last.get("rows"):
        return None
    who = last["version"] or "looked at without a model"
    return f"{last['rows']:,} rows in {last['seconds']:.1f} s · {who}"
