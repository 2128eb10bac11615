"""Where torch computes, how precisely, and on how many threads: one choice for the process, made at its edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch

from ml_backend.errors import ConfigurationError

AUTO: Final = "auto"
DEVICES: Final = (AUTO, "cpu", "cuda")
PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Hardware:
    """What the installation's settings ask for."""

    device: str = AUTO
    """One of ``DEVICES``; ``auto`` is a GPU where torch sees one."""
    precision: str = "float32"
    """Of scoring, one of ``PRECISIONS``; models are always trained in float32."""
    threads: int = 1
    """Of one training or scoring on the CPU."""


_chosen = Hardware()


def use(hardware: Hardware) -> None:
    """Compute like this from now on, in the whole process.

    Raises:
        ConfigurationError: ``cuda`` is asked for, but torch sees no GPU.
    """
    global _chosen
    if hardware == _chosen:
        return
    if hardware.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "DEVICE is cuda, but torch sees no GPU here: install its driver and a torch that is built for it, or set "
            "DEVICE to auto."
        )
    _chosen = hardware


@contextmanager
def using(hardware: Hardware) -> Iterator[None]:
    """Compute like this for a while (benchmarks, tests)."""
    before = _chosen
    use(hardware)
    try:
        yield
    finally:
        use(before)


def device() -> torch.device:
    """Where networks are trained and run.

    A GPU then computes as a CPU does, as far as it can: no TF32, and the same sums at each run.
    """
    if _chosen.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda")


def precision() -> torch.dtype:
    """Of scoring."""
    return PRECISIONS[_chosen.precision]


@contextmanager
def threads() -> Iterator[None]:
    """Run on as many threads as were chosen: one, unless the settings say otherwise.

    On two idle cores a second thread gains nothing here (fitting 300 digits: 5.0 s with one, 5.0 s with two). Beside
    a busy process the two wait for each other at every layer: over 100 s against 6.8 s for that fit, 5.7 s against
    0.5 s to score 8,000 digits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(_chosen.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
