"""What ``lsal versions list`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from ml_backend.errors import StoreError
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import size

COLUMNS: Final = ("version", "created", "labels", "accuracy", "F", "AUC", "promoted", "in use", "size")
DEAR: Final = ("size", "AUC", "promoted", "created", "F", "accuracy", "labels", "in use")
"""Columns that are left out on a narrow terminal, in this order. Names stay, because they are typed for
``rollback``."""
WIDEST: Final = 10_000
"""Width of a table that no terminal limits."""


def use_of(store: ProjectStore, name: str) -> str:
    """What a version is used as: current, pinned, or nothing."""
    current = store.current()
    uses = {"current": current.version, "pinned": current.pinned}
    return ", ".join(word for word, used in uses.items() if used == name)


def version_row(store: ProjectStore, name: str) -> dict[str, Any]:
    """One version of the list. A damaged one is marked instead of hiding the others."""
    try:
        manifest: Manifest | None = store.manifest(name)
        size_in_bytes: int | None = size(store, name)
    except (StoreError, OSError):  # deleted meanwhile, or damaged
        manifest = size_in_bytes = None
    metrics = (manifest and manifest.metrics) or {}
    return {
        "version": name,
        "damaged": manifest is None,
        "created_at": manifest.created_at.isoformat() if manifest else None,
        "labels": manifest.examples if manifest else None,
        "accuracy": metrics.get("accuracy"),
        "f": metrics.get("f_positive") if metrics.get("f_positive") is not None else metrics.get("f_macro"),
        "auc": metrics.get("auc"),
        "promoted": manifest.promoted if manifest else None,
        "use": use_of(store, name),
        "guesses": manifest.guesses if manifest else "",
        "bytes": size_in_bytes,
    }


def print_versions(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """The versions as a table; on a narrow terminal without some columns, but never with a shortened name."""
    if not console.is_terminal:
        width = _width(console, _table(rows, ()))
        Console(file=console.file, width=width).print(_table(rows, ()))
        return
    left_out: list[str] = []
    while _width(console, _table(rows, left_out)) > console.width and len(left_out) < len(DEAR):
        left_out.append(DEAR[len(left_out)])
    console.print(_table(rows, left_out))
    if left_out:
        console.print(f"Not shown for want of space: {', '.join(left_out)}; --json has all.", style="dim")


def _width(console: Console, table: Table) -> int:
    """Width of the table if nothing in it is folded."""
    return Measurement.get(console, console.options.update(width=WIDEST), table).maximum


def _table(rows: Sequence[Mapping[str, Any]], left_out: Sequence[str]) -> Table:
    table = Table()
    for name in COLUMNS:
        if name not in left_out:
            table.add_column(name, overflow="fold")
    for row in rows:
        cells = dict(zip(COLUMNS, _cells(row), strict=True))
        table.add_row(*(cell for name, cell in cells.items() if name not in left_out))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    if row["damaged"]:
        return [row["version"], "damaged", "", "", "", "", "", row["use"], ""]
    created = datetime.fromisoformat(row["created_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
    figures = ["-" if row[name] is None else f"{row[name]:.3f}" for name in ("accuracy", "f", "auc")]
    promoted = "yes" if row["promoted"] else "no"
    return [
        row["version"],
        created,
        f"{row['labels']:,}",
        *figures,
        promoted,
        row["use"],
        f"{row['bytes'] / 1e6:.1f} MB",
    ]
