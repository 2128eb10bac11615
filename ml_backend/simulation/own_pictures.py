"""Which model reads a simulation's texts or a user's own pictures: the one asked for, else as in a project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ml_backend.config import ProjectSettings
from ml_backend.errors import BadItemError
from ml_backend.files import read_bytes
from ml_backend.importing.image_files import IMAGE_SUFFIXES
from ml_backend.models.base import Model
from ml_backend.models.registry import model_for_object_tag
from ml_backend.rounds.encoder_candidates import candidates
from ml_backend.rounds.encoder_hint import LOOKED_AT, Looks, looks_of, picture_hint


def text_model(name: str) -> type[Model]:
    """The model of texts that is called so; of ``auto`` the default.

    Raises:
        ConfigurationError: no model of texts is called so, or it cannot be used here.
    """
    settings = ProjectSettings().override({"text_model": name}, where="--text-model")
    return model_for_object_tag("Text", settings.text_model)


def picture_model(name: str, sample: Iterable[bytes]) -> type[Model]:
    """The model of such pictures.

    Args:
        name: of a model of images, or ``auto``: by what the sample looks like. (A simulation's labels are not looked
            at: it would know more than a project does at its start.)
        sample: some of the pictures; not read where there is nothing to choose.

    Raises:
        ConfigurationError: no model of images is called so, or it cannot be used here.
    """
    settings = ProjectSettings().override({"image_model": name}, where="--image-model")
    options = {option.name: option.model for option in candidates("Image", settings)}
    if len(options) == 1:
        return next(iter(options.values()))
    return options[picture_hint(list(_looks(sample)), options).name]


def sampled_files(folder: Path) -> Iterator[bytes]:
    """Some of the image files below a folder, evenly from all of them: it may be sorted by class."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    step = max(1, len(files) // LOOKED_AT)
    yield from (read_bytes(path) for path in files[::step][:LOOKED_AT])


def _looks(sample: Iterable[bytes]) -> Iterator[Looks]:
    for raw in sample:
        try:
            yield looks_of(raw)
        except BadItemError:
            continue  # it is named when all are read
