"""The news headlines: CSV files in their several layouts, cut into evaluation, training and open pool.

A headline is *related* where it is about a disaster (``data/README.md`` has the definition). Reading is pure: no
network, no clock, no global random state.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from ml_backend.errors import DataError
from ml_backend.files import read_text
from ml_backend.importing.reading import TEXT_COLUMNS

RELATED: Final = "related"
NOT_RELATED: Final = "not related"
INITIAL: Final = 100
"""Labelled headlines to start with, where the pool is what is left of them."""

_LABEL_VALUES: Final = {"": None, "0": NOT_RELATED, "1": RELATED, NOT_RELATED: NOT_RELATED, RELATED: RELATED}
_FOLDERS: Final = ("", "headlines")
_UNLABELLED_FILES: Final = ("unlabeled_data.csv", "unlabeled_data/unlabeled_data.csv", "abc_*.csv")


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its label; None where nobody has labelled it."""

    text: str
    label: str | None


@dataclass(frozen=True, slots=True)
class HeadlineFiles:
    """The headline files of one folder. With only a starter file, ``evaluation`` and ``training`` are empty."""

    evaluation: tuple[Path, ...] = ()
    training: tuple[Path, ...] = ()
    unlabelled: Path | None = None
    history: Path | None = None
    starter: Path | None = None


@dataclass(frozen=True)
class HeadlineData:
    """Headlines to measure with, to start with, and to choose from.

    Items of ``unlabelled`` may still carry a label, *hidden*: it lets a simulation play the annotator, and must never
    be imported or trained on.
    """

    evaluation: tuple[LabelledText, ...]
    training: tuple[LabelledText, ...]
    unlabelled: tuple[LabelledText, ...]
    source: str


def read_headlines(path: Path) -> list[LabelledText]:
    """Read a CSV file of headlines, with a header (``text,label`` or ``publish_date,headline_text``) or without one.

    Without a header, the layout is ``id,text,label,...`` (rmunro/pytorch_active_learning) or ``id,text``. Labels are
    0 / 1 or "not related" / "related"; an empty one means unlabelled. Rows without a text are left out.

    Raises:
        DataError: the file cannot be read as such; the message names the line.
    """
    rows = csv.reader(io.StringIO(read_text(path), newline=""))
    texts: list[LabelledText] = []
    columns: tuple[int, int | None] | None = None
    try:
        for row in rows:
            if columns is None and row:
                columns = _header(row)
                if columns:
                    continue
                columns = _headless(path, row)
            if columns and row:
                texts.extend(_headline(row, *columns, where=f"{path}, line {rows.line_num}"))
    except csv.Error as exc:
        raise DataError(f"{path}, line {rows.line_num}: {exc}") from exc
    if not texts:
        raise DataError(f"{path} holds no headlines")
    return texts


def find_headlines(directory: Path) -> HeadlineFiles:
    """The headline files in the folder or in ``headlines/`` below it; the labelled four, or else a starter file.

    Raises:
        DataError: neither is there.
    """
    folders = [directory / below for below in _FOLDERS]
    evaluation, training = (_labelled_pair(folders, part) for part in ("evaluation", "training"))
    starter = _first(folders, "headlines_starter.csv")
    if not (evaluation and training) and not starter:
        raise DataError(
            f"No headlines (evaluation_data_related.csv and the other three, or headlines_starter.csv) in {directory}; "
            "run lsal fetch-data"
        )
    if not (evaluation and training):
        return HeadlineFiles(starter=starter, history=_first(folders, "labelled_history.csv"))
    return HeadlineFiles(
        evaluation, training, _first(folders, *_UNLABELLED_FILES), _first(folders, "labelled_history.csv"), starter
    )


def load_headlines(directory: Path, *, pool: Literal["auto", "history"] = "auto", seed: int = 0) -> HeadlineData:
    """Headlines to measure with, to start with, and to choose from; no text is in two of these (case aside).

    The pool is the unlabelled file, else ``labelled_history.csv`` (always this one with ``pool="history"``), else what
    is left of the labelled headlines after `INITIAL` of them (half, if there are fewer than twice as many; each label
    has its share). From a starter file, a fifth of each label is held out. Repeated texts are dropped, save in the
    published evaluation set.

    Raises:
        DataError: files are missing or malformed.
    """
    files = find_headlines(directory)
    rng = np.random.default_rng(seed)
    if files.evaluation:
        evaluation, training = _read_all(files.evaluation), _read_all(files.training)
        source = "rmunro/pytorch_active_learning"
    elif files.starter:
        evaluation, training = _held_out_fifth(_read_all([files.starter]), rng)
        source = "invented starter headlines"
    training = _unique([training[i] for i in rng.permutation(len(training))], without=evaluation)
    pool_file = files.history if pool == "history" else files.unlabelled or files.history
    if pool == "history" and pool_file is None:
        raise DataError(f"No labelled_history.csv in {directory}")
    if pool_file:
        rest = read_headlines(pool_file)
        source += f", pool from {pool_file.name}"
    else:
        training, rest = _in_shares(training, min(INITIAL, len(training) // 2))
        source += ", pool from its own labelled headlines"
    unlabelled = _unique(rest, without=[*evaluation, *training])
    return HeadlineData(tuple(evaluation), tuple(training), tuple(unlabelled), source)


def _header(row: Sequence[str]) -> tuple[int, int | None] | None:
    """Positions of text and label by a header's names; None where the row is no header."""
    names = [cell.strip().lower() for cell in row]
    found = [names.index(name) for name in TEXT_COLUMNS if name in names]
    return (found[0], names.index("label") if "label" in names else None) if found else None


def _headless(path: Path, row: Sequence[str]) -> tuple[int, int | None]:
    """Positions of text and label by the look of the first row."""
    if row[0].strip().isdigit() and len(row) == 2:
        return 1, None
    if row[0].strip().isdigit() and len(row) > 2:
        return 1, 2
    raise DataError(f"{path}, line 1: neither a header with a text column nor a row of id,text,label")


def _headline(row: Sequence[str], text: int, label: int | None, *, where: str) -> Iterator[LabelledText]:
    if len(row) <= max(text, label or 0):
        raise DataError(f"{where}: only {len(row)} columns")
    value = row[label].strip().lower().replace("_", " ") if label is not None else ""
    if value not in _LABEL_VALUES:
        raise DataError(f'{where}: label "{value}" is none of 0, 1, {NOT_RELATED}, {RELATED}')
    if row[text].strip():
        yield LabelledText(row[text].strip(), _LABEL_VALUES[value])


def _first(folders: Iterable[Path], *patterns: str) -> Path | None:
    found = (path for folder in folders for pattern in patterns for path in sorted(folder.glob(pattern)))
    return next((path for path in found if path.is_file()), None)


def _labelled_pair(folders: Sequence[Path], part: str) -> tuple[Path, ...]:
    """Files of both labels, in the flat layout or in that of the repository; empty unless both are there."""
    pair = [
        _first(folders, f"{part}_data_{name}.csv", f"{part}_data/{name}.csv") for name in ("related", "not_related")
    ]
    return tuple(path for path in pair if path) if all(pair) else ()


def _read_all(paths: Iterable[Path]) -> list[LabelledText]:
    """All headlines of labelled files; one without a label is an error there."""
    texts: list[LabelledText] = []
    for path in paths:
        texts += read_headlines(path)
        if any(item.label is None for item in texts):
            raise DataError(f"{path} holds headlines without a label")
    return texts


def _held_out_fifth(
    texts: Sequence[LabelledText], rng: np.random.Generator
) -> tuple[list[LabelledText], list[LabelledText]]:
    held: set[int] = set()
    for label in (RELATED, NOT_RELATED):
        positions = [i for i, item in enumerate(texts) if item.label == label]
        held.update(rng.permutation(positions)[: max(1, len(positions) // 5)].tolist())
    return [texts[i] for i in sorted(held)], [item for i, item in enumerate(texts) if i not in held]


def _in_shares(texts: Sequence[LabelledText], count: int) -> tuple[list[LabelledText], list[LabelledText]]:
    """So many texts, of each label as large a part as of all, and the rest.

    Where a label is rare, chance alone may draw half as many of it: a model of so few hardly ever names it.
    """
    chosen: set[int] = set()
    for label in (RELATED, NOT_RELATED):
        positions = [i for i, item in enumerate(texts) if item.label == label]
        left = count - len(chosen)
        chosen.update(positions[: round(count * len(positions) / len(texts)) if label == RELATED else left])
    return [texts[i] for i in sorted(chosen)], [item for i, item in enumerate(texts) if i not in chosen]


def _unique(texts: Iterable[LabelledText], *, without: Iterable[LabelledText]) -> list[LabelledText]:
    """The texts in order, each once (case aside), less those of ``without``."""
    seen = {item.text.casefold() for item in without}
    kept: list[LabelledText] = []
    for item in texts:
        if (key := item.text.casefold()) not in seen:
            seen.add(key)
            kept.append(item)
    return kept
