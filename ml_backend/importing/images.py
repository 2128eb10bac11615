"""Imports pictures as files: from a folder, or from idx files (MNIST's format)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from ml_backend.errors import BadItemError, DataError
from ml_backend.importing.image_files import IMAGE_SUFFIXES, embedded_image, png_data_uri, read_idx
from ml_backend.importing.items import ImportItem


def image_folder(folder: Path) -> Iterator[ImportItem | BadItemError]:
    """The images of a folder, embedded. Those in subfolders are labelled with the subfolder's name."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in paths):
        raise DataError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}), in it or in folders below it")
    for path in paths:
        try:
            fields = {"": embedded_image(path), "file": path.name}
            yield ImportItem(str(path), fields, path.parent.name if path.parent != folder else None)
        except BadItemError as exc:
            yield exc


def idx_images(path: Path) -> Path | None:
    """The idx images file at this path; None if a folder holds none."""
    if path.is_file():
        return path
    found = sorted(
        entry for entry in path.iterdir() if entry.is_file() and "images" in entry.name and "idx3" in entry.name
    )
    if len({entry.name.removesuffix(".gz") for entry in found}) > 1:
        raise DataError(f"{path} holds {', '.join(entry.name for entry in found)}; name one of these files")
    return found[0] if found else None


def idx_pair(path: Path, labels_path: Path | None) -> Iterator[ImportItem | BadItemError]:
    """The images of an idx file, with labels from the given file or the one beside it."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels_path is None and beside != path and beside.is_file():
        labels_path = beside
    images = read_idx(path)
    if images.ndim != 3:
        raise DataError(f"{path} holds labels; name the file of the images")
    labels = read_idx(labels_path).tolist() if labels_path else None
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{labels_path} holds {len(labels):,} labels for the {len(images):,} images of {path}")
    for number, (image, label) in enumerate(zip(images, labels or repeat(None), strict=False), start=1):
        fields = {"": png_data_uri(image), "file": f"{path.name}#{number}"}
        yield ImportItem(f"{path}, image {number}", fields, label)
