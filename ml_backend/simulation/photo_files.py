"""The grocery photographs of Klasson, Zhang & Kjellström 2019 (https://arxiv.org/abs/1901.00711), as features."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import content_key
from ml_backend.errors import BadItemError, DataError
from ml_backend.files import read_text
from ml_backend.models.photos import Photos
from ml_backend.simulation.design import LabelledData

TABLE: Final = "groceries.csv"
FOLDER: Final = "groceries"
COLUMNS: Final = ("path", "label", "official_split")
TEST: Final = "test"


def load_photos(path: Path) -> LabelledData:
    """Photographs in 12 classes by their official split: successive shots of one shelf stay on one side.

    Raises:
        DataError: the table or a photograph is missing, or cannot be read.
    """
    table = path / TABLE
    if not table.is_file():
        raise DataError(f"No grocery photographs ({TABLE}: {', '.join(COLUMNS)}) in {path}; see --data")
    rows = list(csv.DictReader(io.StringIO(read_text(table), newline="")))
    if not rows or any(row.get(column) is None for row in rows for column in COLUMNS):
        raise DataError(f"{table}: each row needs {', '.join(COLUMNS)}")
    labels = tuple(sorted({row["label"] for row in rows}))
    targets = np.array([labels.index(row["label"]) for row in rows], dtype=np.int64)
    test = np.flatnonzero([row["official_split"] == TEST for row in rows]).astype(np.int64)
    items = _features([path / FOLDER / row["path"] for row in rows])
    return LabelledData("photos", Photos, labels, items, targets, f"{TABLE}, {len(rows):,} photographs", test)


def _features(paths: list[Path]) -> list[Any]:
    """What the encoder makes of each, once for all runs where features are kept."""
    try:
        raws = [path.read_bytes() for path in paths]
    except OSError as exc:
        raise DataError(f"Cannot read {exc.filename} ({exc.strerror}); see --data") from exc
    reader = Photos.reader({})

    def compute(some: Any) -> Any:
        found = reader.read(some)
        wrong = next((item for item in found if isinstance(item, BadItemError)), None)
        if wrong is not None:
            raise DataError(f"A photograph of {TABLE} cannot be read: {wrong}") from wrong
        return np.stack(found)

    return list(feature_store.through_store(reader.name, [content_key(raw) for raw in raws], raws, compute))
