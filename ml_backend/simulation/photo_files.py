"""The grocery photographs as features, by the split of their authors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ml_backend.errors import BadItemError, DataError
from ml_backend.importing.image_files import embedded_image
from ml_backend.models.photos import Photos
from ml_backend.simulation.design import LabelledData
from ml_backend.simulation.photo_table import FOLDER, TABLE, read_photographs
from ml_backend.simulation.picture_items import read_pictures


def load_photos(path: Path, *, keep_values: bool = False) -> LabelledData:
    """Photographs in 12 classes by their official split: successive shots of one shelf stay on one side.

    Args:
        path: the folder of the table.
        keep_values: keep the files, too, as data URIs.

    Raises:
        DataError: the table or a photograph is missing, or cannot be read.
    """
    rows = read_photographs(path)
    labels = tuple(sorted({row.label for row in rows}))
    targets = np.array([labels.index(row.label) for row in rows], dtype=np.int64)
    test = np.flatnonzero([row.test for row in rows]).astype(np.int64)
    files = [path / FOLDER / row.path for row in rows]
    values = [embedded_image(file) for file in files] if keep_values else []
    about = f"{TABLE}, {len(rows):,} photographs"
    return LabelledData("photos", Photos, labels, _features(files), targets, about, test, values)


def _features(paths: list[Path]) -> list[Any]:
    try:
        raws = [path.read_bytes() for path in paths]
    except OSError as exc:
        raise DataError(f"Cannot read {exc.filename} ({exc.strerror}); see --data") from exc
    found = read_pictures(Photos.reader({}), raws)
    for path, item in zip(paths, found, strict=True):
        if isinstance(item, BadItemError):
            raise DataError(f"{path}: {item}") from item
    return found
