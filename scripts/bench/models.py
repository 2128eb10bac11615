"""Measure the two models on held-out data, beside a peer each.

Digits: accuracy on 2,000 validation images after 100, 300 and 1,000 random labels, beside the recipe of the
application this project grew from. Headlines: F-score and AUC on the evaluation headlines after the 95 labelled ones,
beside TF-IDF with logistic regression.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
import typer
from numpy.typing import NDArray
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from bench import options
from ml_backend.cli.common import console, new_app, progress_bar, tell_errors
from ml_backend.evaluation.metrics import evaluate
from ml_backend.models.base import Model
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.models.sentences import Sentences
from ml_backend.simulation.data import data_folder
from ml_backend.simulation.headline_files import NOT_RELATED, RELATED, HeadlineData, load_headlines
from ml_backend.simulation.mnist_files import load_mnist, split_mnist

LABEL_COUNTS: Final = (100, 300, 1000)
DIGITS: Final = tuple(str(digit) for digit in range(10))
HEADLINE_LABELS: Final = (NOT_RELATED, RELATED)

Images = NDArray[np.uint8]
Targets = NDArray[np.int64]
Recipe = Callable[[Images, Targets, Images, int], NDArray[np.float32]]
"""From training images, their targets, validation images and a seed to probabilities ``[N, C]``."""

app = new_app()


def ours(images: Images, targets: Targets, validation: Images, seed: int) -> NDArray[np.float32]:
    """This project's digit model."""
    model = MnistCnn(DIGITS)
    model.fit(list(images), targets, seed=seed)
    return model.probabilities(list(validation))[:, 0]


def cloudera(images: Images, targets: Targets, validation: Images, seed: int) -> NDArray[np.float32]:
    """The default recipe of Cloudera's active learning application, rebuilt from its description.

    Network: PyTorch's MNIST example. 10 epochs of SGD, learning rate 0.01, momentum 0.5, batches of 64; pixels
    standardised with MNIST's mean and deviation. Source: activelearning/model.py, train.py, data.py and apps/demo.py of
    https://github.com/cloudera/CML_AMP_Active_Learning (Apache-2.0).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        convolutions = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
        hidden = [nn.Dropout(0.25), nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU()]
        network = nn.Sequential(*convolutions, *hidden, nn.Dropout(0.5), nn.Linear(128, 10))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.5)
        x, y = _standardised(images), torch.from_numpy(targets)
        for _ in range(10):
            for picked in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                F.cross_entropy(network(x[picked]), y[picked]).backward()
                optimizer.step()
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(part).softmax(dim=1) for part in _standardised(validation).split(200)]).numpy()


TEXT_MODELS: Final = (Sentences, Headlines)
RECIPES: Final[dict[str, Recipe]] = {"ours": ours, "Cloudera's recipe": cloudera}


@app.command()
@tell_errors
def main(
    data: Annotated[
        Path | None,
        options.data("mnist/ and headlines/", otherwise="ACTIVE_LEARNING_TEST_DATA, else data"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each kind: seeds 0, 1, ...")] = 3,
) -> None:
    """Measure the models on digits and headlines: mean (lowest-highest) over the seeds."""
    folder = data or data_folder()
    images, digits, digits_source = load_mnist(folder)
    headlines = load_headlines(folder)
    console.print(_digits_table(images, digits.astype(np.int64), digits_source, seeds))
    console.print(_headlines_table(headlines, seeds))


def _digits_table(images: Images, digits: Targets, source: str, seeds: int) -> Table:
    table = Table(title=f"Digits: accuracy on held-out images ({source})")
    for heading in ("labels", "model", "accuracy, %", "fit + predict, s"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    # torch imports a good part of itself at the first optimizer: not a cost of the first recipe measured.
    ours(images[:2], digits[:2], images[:2], 0)
    with progress_bar() as bar:
        task = bar.add_task("digits", total=len(LABEL_COUNTS) * len(RECIPES) * seeds)
        for count in LABEL_COUNTS:
            for name, recipe in RECIPES.items():
                accuracies, seconds = [], []
                for seed in range(seeds):
                    split = split_mnist(len(images), initial=count, seed=seed)
                    started = time.perf_counter()
                    p = recipe(images[split.initial], digits[split.initial], images[split.validation], seed)
                    seconds.append(time.perf_counter() - started)
                    accuracies.append(100 * evaluate(p, digits[split.validation], DIGITS).accuracy)
                    bar.advance(task)
                table.add_row(f"{count:,}", name, _spread(accuracies, 1), _spread(seconds, 1))
    return table


def _headlines_table(data: HeadlineData, seeds: int) -> Table:
    texts, targets = [item.text for item in data.training], _targets(data.training)
    title = f"Headlines: {len(data.evaluation):,} held out, {len(texts)} labelled ({data.source})"
    table = Table(title=title)
    for heading in ("model", "F, related", "AUC", "accuracy, %", "fit + predict, s"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    with progress_bar() as bar:
        task = bar.add_task("headlines", total=len(TEXT_MODELS) * seeds + 1)
        rows: dict[str, list[tuple[float, float, float, float]]] = {}
        for name, run in _headline_runs(texts, targets, data, seeds):
            started = time.perf_counter()
            p = run()
            took = time.perf_counter() - started
            metrics = evaluate(p, _targets(data.evaluation), HEADLINE_LABELS, RELATED)
            scores = (metrics.f_positive or 0.0, metrics.auc or 0.0, 100 * metrics.accuracy, took)
            rows.setdefault(name, []).append(scores)
            bar.advance(task)
    for name, measured in rows.items():
        columns = zip(*measured, strict=True)
        table.add_row(name, *(_spread(values, places) for values, places in zip(columns, (2, 2, 1, 1), strict=True)))
    return table


def _headline_runs(
    texts: Sequence[str], targets: Targets, data: HeadlineData, seeds: int
) -> Iterator[tuple[str, Callable[[], NDArray[np.floating]]]]:
    held_out = [item.text for item in data.evaluation]

    def ours_with(kind: type[Model], seed: int) -> NDArray[np.float32]:
        model = kind(HEADLINE_LABELS)
        model.fit(texts, targets, seed=seed)
        return model.probabilities(held_out)[:, 0]

    def peer() -> NDArray[np.float64]:
        # One run: nothing in it is random.
        pipeline = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(class_weight="balanced")
        )
        probabilities: NDArray[np.float64] = pipeline.fit(texts, targets).predict_proba(held_out)
        return probabilities

    for kind in TEXT_MODELS:
        for seed in range(seeds):
            yield f"ours: {kind.name}", lambda kind=kind, seed=seed: ours_with(kind, seed)
    yield "TF-IDF + logistic regression", peer


def _targets(items: Sequence) -> Targets:
    return np.array([HEADLINE_LABELS.index(item.label) for item in items], dtype=np.int64)


def _standardised(images: Images) -> torch.Tensor:
    return torch.from_numpy(images.copy()).float()[:, None].div_(255).sub_(0.1307).div_(0.3081)


def _spread(values: Sequence[float], places: int) -> str:
    mean = f"{np.mean(values):.{places}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{places}f}-{max(values):.{places}f})"


if __name__ == "__main__":
    app()
