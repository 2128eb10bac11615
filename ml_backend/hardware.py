"""Where torch computes, how precisely, and on how many threads: one choice for the process, made at its edge.

Beside that, which cores of the machine a piece of work keeps to, because people wait for others that run there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import local
from typing import TYPE_CHECKING, Final

from ml_backend.errors import ConfigurationError

if TYPE_CHECKING:
    import torch
    from threadpoolctl import ThreadpoolController

AUTO: Final = "auto"
DEVICES: Final = (AUTO, "cpu", "cuda")
PRECISIONS: Final = ("float32", "bfloat16")
KEEPS_OFF_CORES: Final = hasattr(os, "sched_setaffinity")
"""Whether the system keeps a thread off a core: macOS does not."""


@dataclass(frozen=True)
class Hardware:
    """What the installation's settings ask for."""

    device: str = AUTO
    """One of ``DEVICES``; ``auto`` is a GPU where torch sees one."""
    precision: str = "float32"
    """Of scoring, one of ``PRECISIONS``; models are always trained in float32."""
    threads: int = 1
    """Of one training or scoring on the CPU. The installation's: all projects of a process have the same."""


_chosen = Hardware()
_entered = local()
"""Of each thread: what it limits while it is inside of `threads`, and how many modules there were then."""


def use(hardware: Hardware) -> None:
    """Compute like this from now on, in the whole process.

    Raises:
        ConfigurationError: ``cuda`` is asked for, but torch sees no GPU.
    """
    global _chosen
    if hardware == _chosen:
        return
    if hardware.device == "cuda":
        import torch  # here and below: it takes seconds, which a command without a model should not pay

        if not torch.cuda.is_available():
            raise ConfigurationError(
                "DEVICE is cuda, but torch sees no GPU here: install its driver and a torch that is built for it, or "
                "set DEVICE to auto."
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
    import torch

    if _chosen.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda")


def precision() -> torch.dtype:
    """Of scoring."""
    import torch

    dtype: torch.dtype = getattr(torch, _chosen.precision)
    return dtype


@contextmanager
def threads() -> Iterator[None]:
    """Run on as many threads as were chosen: one, unless the settings say otherwise.

    A second thread gains little where cores are idle; beside a busy process the threads wait for each other at every
    layer (docs/benchmarks.md). It holds for torch, and for what numpy, scipy and scikit-learn compute with.
    """
    import torch

    if getattr(_entered, "limits", None) is not None:
        _hold()
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(_chosen.threads)
    try:
        with ExitStack() as _entered.limits:
            _entered.modules = 0
            _hold()
            yield
    finally:
        torch.set_num_threads(before)
        _entered.limits = None


def cores() -> int:
    """How many cores this thread may use."""
    return len(os.sched_getaffinity(0)) if KEEPS_OFF_CORES else os.cpu_count() or 1


@contextmanager
def sparing(spared: int) -> Iterator[None]:
    """Leave so many cores to others for a while, as far as at least one remains.

    This thread is kept off them, with all threads and processes that begin in it. Whatever else chooses how many it
    starts (Daft, Arrow, BLAS, torch) asks the system which cores it may use, so that nobody need be told a number.
    Threads that are there before run on as they were. Systems that cannot do this (macOS) do without.
    """
    if not (spared and KEEPS_OFF_CORES):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[: max(1, len(before) - spared)])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _hold() -> None:
    """Limit what is loaded by now; by who called, mostly: to set it again costs more than a thousand rows' head.

    Not where a library came since: scipy's own, which the first training of a process imports, would run on all cores.
    """
    if _entered.modules != len(sys.modules):
        _entered.modules = len(sys.modules)
        _entered.limits.enter_context(_pools(_entered.modules).limit(limits=_chosen.threads))


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:  # noqa: ARG001 (a module that is new may have brought a library)
    """The threads of all libraries that are loaded by now; looking for them takes long."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
