"""The demo's projects: which tasks they hold, which of them are labelled, and which are held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from served_pictures import picture_url

from ml_backend.importing.image_files import png_data_uri
from ml_backend.importing.new_tasks import import_row
from ml_backend.importing.reading import NewTask, content_key
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.simulation.headline_files import LabelledText, load_headlines
from ml_backend.simulation.mnist_files import load_mnist, split_mnist
from ml_backend.simulation.photo_table import FOLDER, TABLE, Photograph, read_photographs

CONFIGS = Path(__file__).resolve().parents[1] / "label_configs"


@dataclass(frozen=True)
class DemoProject:
    """One project to make."""

    title: str
    config: str
    question: ChoiceQuestion
    rows: list[dict[str, Any]]
    """Tasks as Label Studio imports them."""
    source: str
    counts: dict[str, int]
    """How many of them are held out, labelled first, and open."""
    pictures: Path | None = None
    """The folder whose files its tasks name, for Label Studio to serve; None: the tasks hold all themselves."""


def mnist_project(data: Path, *, initial: int, most: int | None = None, seed: int = 0) -> DemoProject:
    """MNIST digits: a fifth (2,000 of 10,000) held out, ``initial`` labelled, the rest open; of ``most`` in all."""
    images, labels, source = load_mnist(data)
    if most is not None and most < len(images):
        some = np.random.default_rng(seed).permutation(len(images))[:most]  # the packaged ones lie digit by digit
        images, labels = images[some], labels[some]
    split = split_mnist(len(images), initial=initial, seed=seed)

    def tasks(positions: Iterable[int], labelled: bool) -> list[NewTask]:
        uris = [(png_data_uri(images[i]), str(labels[i]) if labelled else None) for i in positions]
        return [NewTask({"image": uri}, label, content_key(uri)) for uri, label in uris]

    parts = (tasks(split.validation, True), tasks(split.initial, True), tasks(split.open, False))
    return _project("MNIST digits (active learning)", "mnist.xml", parts, source)


def headline_project(data: Path, *, pool: int, seed: int = 0) -> DemoProject:
    """News headlines: the evaluation set held out, the training set labelled, up to ``pool`` open."""
    headlines = load_headlines(data, seed=seed)
    chosen = np.random.default_rng(seed).permutation(len(headlines.unlabelled))[:pool]

    def tasks(texts: Iterable[LabelledText], labelled: bool) -> list[NewTask]:
        return [NewTask({"text": t.text}, t.label if labelled else None, content_key(t.text)) for t in texts]

    parts = (
        tasks(headlines.evaluation, True),
        tasks(headlines.training, True),
        tasks((headlines.unlabelled[i] for i in sorted(chosen)), False),
    )
    return _project("Disaster headlines (active learning)", "headlines.xml", parts, headlines.source)


def photo_project(data: Path) -> DemoProject:
    """Photographs of groceries, none labelled: the part that is set apart held out, all others open.

    The tasks name files that Label Studio serves from the folder. As data URIs they would make each list of tasks,
    which it and we read again and again, a hundred times as large.
    """
    photographs = read_photographs(data)

    def tasks(test: bool) -> list[NewTask]:
        chosen = [photograph for photograph in photographs if photograph.test == test]
        return [_photo_task(photograph, labelled=test) for photograph in chosen]

    parts: tuple[list[NewTask], ...] = (tasks(True), [], tasks(False))
    return _project("Grocery photographs (active learning)", "photos.xml", parts, TABLE, (data / FOLDER).resolve())


def _photo_task(photograph: Photograph, *, labelled: bool) -> NewTask:
    url = picture_url(f"{FOLDER}/{photograph.path}")
    return NewTask({"image": url}, photograph.label if labelled else None, content_key(url))


def _project(
    title: str, config: str, parts: Sequence[list[NewTask]], source: str, pictures: Path | None = None
) -> DemoProject:
    xml = (CONFIGS / config).read_text(encoding="utf-8")
    question = parse_label_config(xml, project=title)
    held_out, labelled, unlabelled = parts
    evaluation = {task.key for task in held_out}
    unique = {task.key: task for part in (unlabelled, labelled, held_out) for task in part}  # the last one wins
    rows = [import_row(task, question, evaluation) for task in reversed(unique.values())]
    counts = {
        "held out": len(evaluation),
        "labelled": len({task.key for task in labelled} - evaluation),
        "open": sum(task.label is None for task in unique.values()),
    }
    return DemoProject(title, xml, question, rows, source, counts, pictures)
