"""Downloads with time-outs, bounded retries, checksums and atomic writes; used by ``lsal fetch-data``."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from ml_backend.files import Staged, atomic

HEADLINES_COMMIT: Final = "65e7c9c56d5e1f8a124fec5294f1d21733575339"
HEADLINES_URL: Final = f"https://raw.githubusercontent.com/rmunro/pytorch_active_learning/{HEADLINES_COMMIT}/"
CHUNK: Final = 1 << 16
MNIST_SHA256: Final = {
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: where below the base URL, its name here, its checksum.

    ``algorithm`` is one of hashlib's, or "git-blob": the id that git gives the content (SHA-1 over
    "blob", the size, a zero byte, the content).
    """

    url_path: str
    name: str
    algorithm: str
    digest: str


class FetchError(Exception):
    """A file could not be fetched; trying again later may help, but not now."""


class PassingFault(FetchError):
    """A fault that the next attempt may not meet: a broken or stalled transfer, a server error."""


@dataclass(frozen=True)
class Network:
    """Where the files are, and how long to wait for them."""

    headlines_url: str = HEADLINES_URL
    mnist_urls: tuple[str, ...] | None = None
    """None: torchvision's own mirrors."""
    mnist_sha256: Mapping[str, str] = field(default_factory=lambda: MNIST_SHA256)
    """File name → checksum."""
    connect_timeout: float = 3.0
    """Seconds for a server's first answer; without a network, the most that each server costs."""
    read_timeout: float = 15.0
    """Seconds without receiving a byte."""
    total_timeout: float = 600.0
    """Seconds for one file."""
    attempts: int = 3
    pause: float = 0.5
    """Seconds before the second attempt; doubled for the third."""


def checksum(path: Path, algorithm: str) -> str:
    """The hexadecimal digest of a file."""
    if algorithm == "git-blob":
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def within(seconds: float, call: Callable[[], None]) -> None:
    """Run ``call`` with a time limit, for calls that have none themselves (name look-ups, torchvision).

    Raises:
        PassingFault: the time is over; the thread is left behind and ends with the program.
        Exception: whatever ``call`` raises.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise PassingFault(f"no end after {seconds:g} s")
    if raised:
        raise raised[0]


def _answers(url: str, network: Network) -> bool:
    """Whether any HTTP answer comes from there in time."""
    timeout = network.connect_timeout

    def ask() -> None:
        requests.head(url, timeout=timeout, allow_redirects=False).close()

    try:
        within(timeout, ask)
    except (requests.RequestException, FetchError):
        return False
    return True


def _retrying(network: Network) -> Retrying:
    return Retrying(
        stop=stop_after_attempt(network.attempts),
        wait=wait_exponential(multiplier=network.pause, max=5),
        retry=retry_if_exception_type(PassingFault),
        reraise=True,
    )


def download_mnist(folder: Path, network: Network) -> None:
    """The test set's two files, through torchvision's downloader, from the first mirror that has both."""
    names = [name for name, digest in network.mnist_sha256.items() if not is_there(folder / name, "sha256", digest)]
    if not names:
        return
    from torchvision.datasets import MNIST  # here: it takes seconds, and only a download needs it

    faults: list[str] = []
    for url in network.mnist_urls or MNIST.mirrors:
        host = urlsplit(url).netloc
        if not _answers(url, network):
            faults.append(f"no answer from {host}")
            continue
        try:
            for name in names:
                _retrying(network)(_torchvision_download, url + name, folder / name, network)
        except FetchError as exc:
            faults.append(f"{host}: {exc}")
            continue
        return
    raise FetchError("; ".join(faults))


def _torchvision_download(url: str, path: Path, network: Network) -> None:
    """One file. torchvision has no time-out, so the sockets' default is set while it runs."""
    from torchvision.datasets.utils import download_url

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(network.read_timeout)

    def fetch(part: Staged) -> None:
        within(network.total_timeout, lambda: download_url(url, part.parent, part.name))
        if checksum(part, "sha256") != network.mnist_sha256[path.name]:
            raise PassingFault(f"{path.name} arrived with a wrong checksum")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_with(path, fetch)
    except HTTPError as exc:
        exc.close()
        raise _http_fault(exc.code, path.name) from exc
    except (RuntimeError, OSError, HTTPException) as exc:
        raise PassingFault(f"{path.name}: {exc}") from exc
    finally:
        socket.setdefaulttimeout(before)


def download_all(folder: Path, network: Network, files: Sequence[RemoteFile], console: Console | None) -> None:
    """All of the files or none: they are moved into place together."""
    absent = [file for file in files if not is_there(folder / file.name, file.algorithm, file.digest)]
    if not absent:
        return
    if not _answers(network.headlines_url, network):
        raise FetchError(f"no answer from {urlsplit(network.headlines_url).netloc}")

    def fetch(waiting: Staged) -> None:
        for file in absent:
            _retrying(network)(_download, file, Staged(waiting / file.name), network, progress)

    folder.mkdir(parents=True, exist_ok=True)
    with _bars(console) as progress:
        atomic.write_together(folder, fetch)


def _download(file: RemoteFile, path: Staged, network: Network, progress: Progress) -> None:
    """One file by HTTP, with its checksum compared."""
    bar = progress.add_task(file.name, total=None)

    def transfer() -> None:
        timeouts = (network.connect_timeout, network.read_timeout)
        with requests.get(network.headlines_url + file.url_path, stream=True, timeout=timeouts) as answer:
            if answer.status_code != requests.codes.ok:
                raise _http_fault(answer.status_code, file.url_path)
            progress.update(bar, total=int(answer.headers.get("Content-Length", 0)) or None)
            with path.open("wb") as stream:
                for chunk in answer.iter_content(CHUNK):
                    stream.write(chunk)
                    progress.advance(bar, len(chunk))

    try:
        within(network.total_timeout, transfer)
    except requests.RequestException as exc:
        raise PassingFault(f"{file.name}: the transfer broke ({type(exc).__name__})") from exc
    if checksum(path, file.algorithm) != file.digest:
        raise PassingFault(f"{file.name} arrived with a wrong checksum")


def _http_fault(status: int, what: str) -> FetchError:
    kind = PassingFault if status >= 500 or status in (408, 429) else FetchError
    return kind(f"{what}: HTTP status {status}")


def is_there(path: Path, algorithm: str, digest: str) -> bool:
    """Whether the file exists and is the one meant."""
    return path.is_file() and checksum(path, algorithm) == digest


def _bars(console: Console | None) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, disable=console is None)
