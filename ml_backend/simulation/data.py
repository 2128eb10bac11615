"""Where labelled items come from: the data of the presets, and any labelled file or folder that can be imported."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml_backend.encoders import feature_store, folders, text_vectors
from ml_backend.encoders.languages import language_hint
from ml_backend.errors import BadItemError, DataError
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.files import read_text
from ml_backend.importing.reading import NewTask, TaskFields, read_tasks
from ml_backend.label_sets import unpack
from ml_backend.label_studio.labeling_config import MAX_CLASSES, MIN_CLASSES
from ml_backend.label_studio.media import MediaReader
from ml_backend.models.base import Model
from ml_backend.models.reading import ItemReader, reader_of
from ml_backend.models.registry import AUTO, model_for_object_tag
from ml_backend.records import Task
from ml_backend.rounds.encoder_hint import LOOKED_AT
from ml_backend.simulation.design import LabelledData
from ml_backend.simulation.headline_files import NOT_RELATED, RELATED, find_headlines, read_headlines
from ml_backend.simulation.mnist_files import load_mnist
from ml_backend.simulation.news_sets import news_labels, news_sets
from ml_backend.simulation.own_pictures import picture_model, sampled_files, text_model
from ml_backend.simulation.photo_files import load_photos
from ml_backend.simulation.photo_sets import photo_labels, photo_sets
from ml_backend.simulation.picture_items import BLOCK, read_pictures

AG_CLASSES: Final = ("World", "Sports", "Business", "Sci/Tech")
AG_FOLDERS: Final = ("ag_news", "")
VALUE: Final = "value"
GREY: Final = "mnist_cnn"
"""The model of the digits' presets."""
TEXT_KINDS: Final = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Source:
    """Where labelled items come from; small, so that it can be sent to another process, which then loads them."""

    kind: str
    """A name in ``LOADERS``."""
    path: Path
    label_column: str | None = None
    text_column: str | None = None
    images: bool = False
    features: Path | None = None
    """Folder that keeps what encoders compute, for all processes; None: each computes it again."""
    encoder_folders: tuple[Path, ...] = ()
    """Folders below which an encoder may lie."""
    image_model: str = AUTO
    """Of one's own pictures; ``auto``: by what they look like."""
    text_model: str = AUTO
    """Of texts."""
    encoder: str = AUTO
    """That the model reads one's own items through; ``auto``: of texts, by their language."""
    keep_values: bool = False
    """Whether the data are to go into a Label Studio, which wants pictures as files, not as what a model sees."""

    def load(self) -> LabelledData:
        """Read the items.

        Raises:
            DataError: they are missing, malformed, or fewer than two classes.
        """
        if self.features is not None:
            feature_store.use(self.features)
        folders.allow(self.encoder_folders)
        return LOADERS[self.kind](self)


def load_digits(source: Source) -> LabelledData:
    """MNIST digits, as the MNIST workflow uses them."""
    images, digits, where = load_mnist(source.path)
    model = model_for_object_tag("Image", GREY)
    labels = tuple(str(digit) for digit in range(10))
    return LabelledData("mnist", model, labels, list(images), digits.astype(np.int64), where)


def load_scans(source: Source) -> LabelledData:  # noqa: ARG001 (they come with a package)
    """The 1,797 digits of 8 x 8 pixels that scikit-learn brings (Alpaydin & Kaynak 1998), as the model reads images."""
    from sklearn.datasets import load_digits as bundled

    found, model = bundled(), model_for_object_tag("Image", GREY)
    items = []
    for pixels in found.images:
        content = io.BytesIO()
        grey = Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8))
        grey.resize((28, 28), Image.Resampling.BICUBIC).save(content, "PNG")
        items.append(model.read_item(content.getvalue()))
    labels = tuple(str(digit) for digit in range(10))
    return LabelledData(
        "digits", model, labels, items, found.target.astype(np.int64), "scikit-learn's digits, upscaled"
    )


def load_ag_news(source: Source) -> LabelledData:
    """Titles of AG's news corpus (Zhang, Zhao & LeCun 2015), four classes."""
    pairs = [(title, topic) for title, _, topic in _ag_news(source)]
    return _texts("ag_news", source, pairs, AG_CLASSES, "AG News titles, test.csv")


def load_news_sets(source: Source) -> LabelledData:
    """AG's news items, title and description, with several labels each (`news_sets`)."""
    texts = {f"{title}. {told}": AG_CLASSES.index(topic) for title, told, topic in _ag_news(source) if title.strip()}
    model = text_model(source.text_model)
    items = [model.read_item(text) for text in texts]
    sets = news_sets(items, np.array(list(texts.values()), dtype=np.int64), len(AG_CLASSES))
    return LabelledData("news_sets", model, news_labels(AG_CLASSES), items, sets, f"AG News, {len(items):,} texts")


def load_photo_sets(source: Source) -> LabelledData:
    """The grocery photographs with several labels each (`photo_sets`)."""
    data = load_photos(source.path, keep_values=source.keep_values)
    sets = photo_sets(data.labels, data.targets)
    return replace(data, name="photo_sets", labels=photo_labels(data.labels), targets=sets)


def _ag_news(source: Source) -> Iterator[tuple[str, str, str]]:
    """Title, description and topic of each item."""
    found = [p for below in AG_FOLDERS if (p := source.path / below / "test.csv").is_file()]
    if not found:
        raise DataError(f"No AG News (ag_news/test.csv: class, title, description) in {source.path}; see --data")
    for number, row in enumerate(csv.reader(io.StringIO(read_text(found[0]), newline="")), start=1):
        if len(row) != 3 or row[0] not in ("1", "2", "3", "4"):
            raise DataError(f"{found[0]}, row {number}: not class (1-4), title and description")
        yield row[1], row[2], AG_CLASSES[int(row[0]) - 1]


def load_disasters(source: Source) -> LabelledData:
    """The labelled disaster headlines of rmunro/pytorch_active_learning, evaluation and training ones together."""
    files = find_headlines(source.path)
    if not (files.evaluation and files.training):
        raise DataError(
            f"No labelled disaster headlines (evaluation_data_related.csv ...) in {source.path}; see --data"
        )
    items = [item for path in (*files.evaluation, *files.training) for item in read_headlines(path)]
    pairs = [(item.text, item.label) for item in items if item.label]
    return _texts("disasters", source, pairs, (NOT_RELATED, RELATED), "disaster headlines")


def load_own(source: Source) -> LabelledData:
    """Any labelled file or folder; its labels in the order of the alphabet. Sets where an item has several, or none."""
    tag = "Text" if source.path.is_file() and source.path.suffix in TEXT_KINDS and not source.images else "Image"
    problems: list[str] = []
    found, unlabelled = _labelled(_own_tasks(source, tag, problems))
    media = MediaReader(fetcher=Fetcher(AddressRules(local=True)))
    model = (
        text_model(source.text_model) if tag == "Text" else picture_model(source.image_model, _sample(source, media))
    )
    reader = reader_of(model, {"encoder": source.encoder} if "encoder" in model.hyperparameters() else {})
    rows: dict[str, tuple[Any, str, str]] = {}
    for block in _blocks(found, BLOCK):
        raws = [_raw(task, media, tag) for task in block]
        for task, item in zip(block, _read(reader, raws), strict=True):
            if isinstance(item, BadItemError):
                problems.append(f"{task.where}: {item}")
            else:
                value = str(task.data[VALUE]) if source.keep_values else ""
                rows.setdefault(task.key, (item, str(task.label), value))
    labels = tuple(sorted({each for _, label, _ in rows.values() for each in unpack(label)}))
    if not MIN_CLASSES <= len(labels) <= MAX_CLASSES:
        left_out = f"; {len(unlabelled):,} items have no label (--label-column)" if unlabelled else ""
        left_out += f"; {len(problems):,} cannot be read, first: {problems[0]}" if problems else ""
        raise DataError(
            f"{source.path} has {len(labels):,} different labels; {MIN_CLASSES} to {MAX_CLASSES:,} are needed{left_out}"
        )
    targets = _targets([unpack(label) for _, label, _ in rows.values()], labels)
    items, values = [item for item, _, _ in rows.values()], [value for _, _, value in rows.values() if value]
    about = f"{source.path.name}, {len(items):,} items"
    encoder = _text_encoder(model, source.encoder, items)
    return LabelledData(source.path.stem, model, labels, items, targets, about, values=values, encoder=encoder)


def _targets(answers: Sequence[tuple[str, ...]], labels: Sequence[str]) -> NDArray[np.int64]:
    """The class of each item ``[N]``; where an item has several, or none, the set of each ``[N, C]``."""
    if all(len(answer) == 1 for answer in answers):
        return np.array([labels.index(label) for (label,) in answers], dtype=np.int64)
    return np.array([[label in answer for label in labels] for answer in answers], dtype=np.int64)


def _text_encoder(model: type[Model], wanted: str, texts: Sequence[Any]) -> str:
    """What own texts are read through: what was asked for, else by their language, as in a project without labels."""
    if model.object_tag != "Text" or "encoder" not in model.hyperparameters():
        return ""
    if wanted != AUTO:
        return wanted
    hinted = language_hint(texts).encoder
    return hinted if text_vectors.missing(hinted) is None else ""


def _own_tasks(source: Source, tag: str, problems: list[str]) -> Iterator[NewTask]:
    return read_tasks(source.path, TaskFields(tag, VALUE, source.label_column, source.text_column), problems=problems)


def _labelled(tasks: Iterable[NewTask]) -> tuple[Iterator[NewTask], list[str]]:
    """Those with a label, and where those without stand, which is known when all are read."""
    without: list[str] = []

    def labelled() -> Iterator[NewTask]:
        for task in tasks:
            if task.label is None:
                without.append(task.where)
            else:
                yield task

    return labelled(), without


def _sample(source: Source, media: MediaReader) -> Iterator[bytes]:
    """Some pictures, to see what they look like."""
    if source.path.is_dir():
        yield from sampled_files(source.path)
    tasks = () if source.path.is_dir() else islice(_own_tasks(source, "Image", []), LOOKED_AT)
    yield from (raw for task in tasks if isinstance(raw := _raw(task, media, "Image"), bytes))


def _raw(task: NewTask, media: MediaReader, tag: str) -> bytes | str | BadItemError:
    try:
        return media.read(Task(0, task.data), field=VALUE, object_tag=tag)
    except BadItemError as exc:
        return exc


def _read(reader: ItemReader, raws: Sequence[Any]) -> list[Any]:
    """Items of what could be had; the errors stay in their places."""
    good = [raw for raw in raws if not isinstance(raw, BadItemError)]
    items = iter(read_pictures(reader, good) if good else ())
    return [raw if isinstance(raw, BadItemError) else next(items) for raw in raws]


def _blocks(tasks: Iterable[NewTask], size: int) -> Iterator[list[NewTask]]:
    tasks = iter(tasks)
    while block := list(islice(tasks, size)):
        yield block


LOADERS: Final = {
    "photos": lambda source: load_photos(source.path, keep_values=source.keep_values),
    "mnist": load_digits,
    "digits": load_scans,
    "ag_news": load_ag_news,
    "news_sets": load_news_sets,
    "photo_sets": load_photo_sets,
    "disasters": load_disasters,
    "own": load_own,
}


def _texts(
    name: str, source: Source, pairs: Iterable[tuple[str, str]], labels: Sequence[str], about: str
) -> LabelledData:
    """Texts, each once (case aside: else one could be asked and judged)."""
    model = text_model(source.text_model)
    unique = {text.casefold(): (model.read_item(text), label) for text, label in pairs if text.strip()}
    items = [item for item, _ in unique.values()]
    targets = np.array([labels.index(label) for _, label in unique.values()], dtype=np.int64)
    return LabelledData(name, model, tuple(labels), items, targets, f"{about}, {len(items):,} texts")


def data_folder() -> Path:
    """The folder named by ACTIVE_LEARNING_TEST_DATA, else ``data/`` of the checkout, which ``fetch-data`` fills."""
    return Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA") or Path(__file__).resolve().parents[2] / "data")
