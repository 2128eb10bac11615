"""What makes the vectors of a pool: what the head of a project's model sees, so that scoring a row needs no more.

Axes: ``N`` rows, ``D`` numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras
from ml_backend.config import ProjectSettings
from ml_backend.encoders import picture_vectors, text_networks, text_vectors
from ml_backend.encoders.pictures import GREY_SIDE, decode_grey
from ml_backend.encoders.side_by_side import unit_rows
from ml_backend.errors import BadItemError, ConfigurationError
from ml_backend.models.base import Model
from ml_backend.models.linear_head import LinearHead
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.reading import one_by_one
from ml_backend.models.texts import MAX_CHARACTERS, read_text
from ml_backend.models.vectors import Vectors
from ml_backend.pool.vector_columns import Half
from ml_backend.pool.vectors import About
from ml_backend.rounds.encoder_candidates import Candidate, candidates, with_earlier
from ml_backend.rounds.encoder_hint import Hint, Looks, looks_of, picture_hint, text_hint
from ml_backend.store.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

GREY: Final = f"grey-{GREY_SIDE}"
"""The encoder of models that read small grey pictures as they are: their pixels, which 16 bits hold exactly."""
TEXT, PICTURE, PIXELS, PARTS = "text", "picture", "pixels", "texts"
BESIDE: Final = ", side by side"
"""Ends the name of an encoder of several texts, whose vectors stand side by side, each of length 1."""
Raw = bytes | str | tuple[str, ...]
"""Content of a row: a text; of pictures the bytes, or the path of a file; of several texts all of them."""
NO_TEXT: Final = "There is no text (in a CSV file perhaps one that is not UTF-8: save the file as UTF-8)"
LARGEST: Final = 65_504.0
"""Of 16 bits: a number beyond it would be infinite."""


@dataclass(frozen=True)
class PoolEncoder:
    """Raw contents of rows → vectors. It holds names only, so that every worker loads its own."""

    kind: str
    """``text``, ``picture``, ``pixels``, or ``texts`` of several side by side."""
    name: str
    parts: int = field(default=1, compare=False)
    """Texts of a row; what reads a version's vectors alone need not know."""

    @property
    def by(self) -> str:
        """The encoder of each part."""
        return self.name.removesuffix(BESIDE)

    @property
    def made_of(self) -> str:
        """The encoder and, of one in a folder, which of its files."""
        return text_vectors.kept_as(self.by) + (BESIDE if self.kind == PARTS else "")

    @property
    def in_threads(self) -> bool:
        """Whether threads of one process embed side by side, so that no processes need be started and fed."""
        return self.kind in (TEXT, PARTS) and self.by in text_networks.IN_THREADS

    @property
    def in_columns(self) -> bool:
        """Whether it reads a column of texts as it lies in memory, so that no object of Python is made of each."""
        return self.kind == TEXT and self.in_threads

    def about(self) -> About:
        """What its vectors are made by.

        Raises:
            ConfigurationError: it cannot be loaded.
        """
        return About(self.name, self.made_of, self.dimensions())

    def dimensions(self) -> int:
        """``D``. Raises ConfigurationError."""
        if self.kind == PIXELS:
            return GREY_SIDE * GREY_SIDE
        if self.kind == PICTURE:
            return picture_vectors.dimensions(self.name)
        return text_vectors.dimensions(self.by) * self.parts

    def prepare(self) -> None:
        """Read what this process will share of a light encoder, for which its first vectors would wait.

        Raises:
            ConfigurationError: it cannot be loaded.
        """
        if self.in_threads:
            self.vectors(["text"] if self.kind == TEXT else [("text",) * self.parts])

    def vectors(self, raws: Sequence[Raw | None]) -> tuple[Half, list[str | None]]:
        """Vectors ``[N, D]`` and, for a row that has none, why; its vector is 0.

        Args:
            raws: contents of rows; None where nothing is there.

        Raises:
            ConfigurationError: the encoder cannot be loaded.
        """
        found = self._read(raws)
        reasons = [str(item) if isinstance(item, BadItemError) else None for item in found]
        places = [place for place, reason in enumerate(reasons) if reason is None]
        made = self._computed([found[place] for place in places]) if places else np.zeros((0, self.dimensions()))
        kept, bad = _kept(made)
        for place in np.array(places)[bad].tolist():
            reasons[place] = f"The encoder {self.name} makes numbers of it that cannot be kept"
        if len(places) == len(raws):
            return kept, reasons
        rows = np.zeros((len(raws), made.shape[1]), np.float16)
        rows[places] = kept
        return rows, reasons

    def vectors_of(self, columns: Sequence[pa.Array]) -> tuple[Half, list[str | None]]:
        """As `vectors`, of the contents of each part ``[N]`` as Arrow arrays."""
        if not self.in_columns:
            parts = [column.to_pylist() for column in columns]
            return self.vectors(parts[0] if len(parts) == 1 else list(zip(*parts, strict=True)))
        pc: Any = extras.require("A pool", "pyarrow", "pyarrow.compute")
        (texts,) = columns
        blocks, odd = text_vectors.compute_column(self.name, pc.utf8_slice_codeunits(texts, 0, MAX_CHARACTERS))
        rows, end = np.empty((len(texts), self.dimensions()), np.float16), 0
        for block in blocks:
            start, end = end, end + len(block)
            rows[start:end], bad = _kept(block)
            odd[start:end] |= bad
        reasons: list[str | None] = [None] * len(rows)
        places = np.flatnonzero(odd).tolist()
        found, told = self.vectors([texts[place].as_py() for place in places])
        for place, row, reason in zip(places, found, told, strict=True):
            rows[place], reasons[place] = row, reason
        return rows, reasons

    def _read(self, raws: Sequence[Raw | None]) -> list[Any]:
        if self.kind == TEXT:
            return [_text(raw if raw is None else _plain(raw)) for raw in raws]
        if self.kind == PARTS:
            return [_texts(raw) for raw in raws]
        contents = [_content(raw) for raw in raws]
        good = [content for content in contents if isinstance(content, bytes)]
        read = one_by_one(decode_grey, good) if self.kind == PIXELS else picture_vectors.read(self.name, good)
        items = iter(read)
        return [next(items) if isinstance(content, bytes) else content for content in contents]

    def _computed(self, items: Sequence[Any]) -> Any:
        if self.kind == TEXT:
            return text_vectors.compute(self.name, items)
        if self.kind == PARTS:
            columns = [text_vectors.compute(self.by, texts) for texts in zip(*items, strict=True)]
            # Rounded, as those of a task's texts are before they stand side by side.
            rounded = [column.astype(np.float16).astype(np.float32) for column in columns]
            return np.concatenate([unit_rows(column) for column in rounded], axis=1)
        return np.stack(items).reshape(len(items), -1).astype(np.float32)


def _kept(made: NDArray[np.floating]) -> tuple[Half, NDArray[np.bool_]]:
    """Vectors as 16 bits ``[N, D]``, and those that hold a number that these cannot ``[N]``, which are 0."""
    bad = np.zeros(len(made), np.bool_)
    # Not the other way round: of a number that is none all comparisons are false.
    if made.size and not (made.min() >= -LARGEST and made.max() <= LARGEST):
        bad = ~(np.abs(made) <= LARGEST).all(axis=1)
        made = np.where(bad[:, None], 0, made)
    return made.astype(np.float16), bad


def _text(raw: bytes | str | None) -> Any:
    """The text, or why it cannot be read."""
    if raw is None:
        return BadItemError(NO_TEXT)
    try:
        return read_text(raw)
    except BadItemError as exc:
        return exc


def _plain(raw: Raw) -> bytes | str:
    return raw if isinstance(raw, bytes | str) else " ".join(raw)


def _texts(raw: Raw | None) -> list[str] | BadItemError:
    """The texts of a row, or why they cannot be read."""
    found = [_text(each) for each in (raw if isinstance(raw, tuple) else (None,))]
    wrong = next((place for place, text in enumerate(found) if isinstance(text, BadItemError)), None)
    return found if wrong is None else BadItemError(f"Text {wrong + 1} of {len(found)}: {found[wrong]}")


def _content(raw: Raw | None) -> bytes | BadItemError:
    """A picture's bytes, or why there are none."""
    if isinstance(raw, bytes):
        return raw
    if not isinstance(raw, str):
        return BadItemError("The picture cannot be fetched")
    try:
        return Path(raw).read_bytes()
    except OSError as exc:
        return BadItemError(f"The picture cannot be read: {exc.strerror or type(exc).__name__}")


def encoder_for(model: type[Model], encoder: str, parts: int = 1) -> PoolEncoder:
    """The encoder whose vectors a model's head sees.

    Args:
        model: a class of `models`.
        encoder: its hyperparameter ``encoder``; empty where it has none.
        parts: texts of a row.

    Raises:
        ConfigurationError: the model has no such encoder.
    """
    if issubclass(model, MnistCnn):
        return PoolEncoder(PIXELS, GREY)
    if issubclass(model, Vectors):
        return PoolEncoder(PARTS, text_vectors.resolve(encoder or "auto") + BESIDE, parts)
    if issubclass(model, LinearHead) and hasattr(model, "seen"):
        text = model.object_tag == "Text"
        resolve = text_vectors.resolve if text else picture_vectors.resolve
        return PoolEncoder(TEXT if text else PICTURE, resolve(encoder or "auto"))
    raise ConfigurationError(
        f"The model {model.name} reads each row itself, so that a pool cannot be embedded for it: set text_model to "
        "sentences (or image_model to photos or mnist_cnn) in the project's settings."
    )


def choose(
    tag: str,
    settings: ProjectSettings,
    *,
    version: Manifest | None,
    documented: Mapping[str, Any],
    sample: Sequence[Raw],
    parts: int = 1,
) -> tuple[PoolEncoder, str]:
    """The encoder that the next model of a project reads through, and why.

    Args:
        tag: what the project shows, ``Text``, ``Image``, or ``Vector`` of several texts.
        settings: the project's.
        version: the version in use; None before a first.
        documented: what rounds have measured, the document of `rounds.encoder_choice`.
        sample: contents of some rows, for the time before there are labels.
        parts: texts of a row.

    Raises:
        LabelConfigError, ConfigurationError: no model, or no encoder, can be used.
    """
    options = {option.name: option for option in candidates(tag, settings)}
    known = {option.name: option for option in with_earlier(list(options.values()))}
    chosen, reason = _of_version(known, version), "as in the version in use"
    if documented.get("choice") in known:
        chosen, reason = known[documented["choice"]], str(documented.get("reason", "")) or "as rounds have chosen"
    if chosen is None and len(options) == 1:
        chosen, reason = next(iter(options.values())), "the settings and what is installed leave no other"
    if chosen is None:
        hinted = _hinted(tag, sample, list(options))
        chosen, reason = options[hinted.name], hinted.reason
    return encoder_for(chosen.model, chosen.encoder, parts), reason


def _of_version(options: Mapping[str, Candidate], version: Manifest | None) -> Candidate | None:
    if version is None:
        return None
    encoder = str(version.config.get("encoder") or "")
    return next((o for o in options.values() if o.model.name == version.model and o.encoder in ("", encoder)), None)


def _hinted(tag: str, sample: Sequence[Raw], names: Sequence[str]) -> Hint:
    if tag != "Image":
        return text_hint([text for text in sample if isinstance(text, str)], names)
    looks: list[Looks] = []
    for raw in sample:
        content = _content(raw)
        if isinstance(content, bytes):
            try:
                looks.append(looks_of(content))
            except BadItemError:
                continue
    return picture_hint(looks, names)
