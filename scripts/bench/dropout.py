"""MC dropout's share of the benchmark: our way, the seed's way and exact passes, on one trained network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from bench.peers import cpu_seconds
from ml_backend import hardware
from ml_backend.hardware import Hardware
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.strategies.acquisition import bald, entropy

if TYPE_CHECKING:
    from torchvision import transforms

PICKS: Final = 10
REFERENCE: Final = 800
SEED_BATCH: Final = 1_000
BAAL_IMAGES: Final = 640
"""Images that baal gets: its time per image does not depend on how many there are."""
BAAL_PASSES: Final = 20

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Way:
    """One way to score the images, in CPU seconds."""

    name: str
    seconds: float


def ways(model: MnistCnn, images: Images, baal_seconds: float | None) -> list[Way]:
    """CPU seconds of each way to score all images, the single deterministic pass of the same precision first."""
    found = []
    for name in hardware.PRECISIONS:
        with hardware.using(Hardware("cpu", name)):
            found.append(Way(f"deterministic pass, {name}", cpu_seconds(lambda: anew(model).probabilities(images))))
            for samples in (20, 100):
                taken = cpu_seconds(lambda k=samples: entropy(anew(model).probabilities(images, samples=k)))
                found.append(Way(f"ours, T = {samples}, {name}", taken))
    model.embed(images)
    taken = cpu_seconds(lambda: entropy(model.probabilities(images, samples=100)))
    found.append(Way("ours, T = 100, a second strategy on the same version", taken))
    if baal_seconds is not None:
        found.append(Way(f"baal, T = {BAAL_PASSES}", baal_seconds * len(images) / BAAL_IMAGES))
    network, handler = plain_network(model).train(), _transform()
    part = images[:SEED_BATCH]  # one of its batches: all take the same
    one_pass = cpu_seconds(lambda: _seed_pass(network, part, handler)) * len(images) / len(part)
    found.append(Way("the seed's way, T = 100, the same network", 100 * one_pass))
    return found


def fidelity(model: MnistCnn, images: Images) -> list[tuple[str, int, float]]:
    """Score kept when picking ten with T passes, by T = 800: ``sum of the picked / sum of the best``.

    Each row is a strategy, T, and the mean over three draws of the masks.
    """
    exact = model.probabilities(images, samples=REFERENCE, seed=99).astype(np.float64)
    with hardware.using(Hardware("cpu", "bfloat16")):
        half = anew(model)
        half.embed(images)
    rows = []
    for name, score in (("entropy", entropy), ("BALD", bald)):
        truth = score(exact)
        best = np.sort(truth)[-PICKS:].sum()
        for kind, scorer, passes in (("", model, 5), ("", model, 20), ("", model, 100), (", bfloat16", half, 100)):
            kept = []
            for seed in range(3):
                values = score(scorer.probabilities(images, samples=passes, seed=seed).astype(np.float64))
                kept.append(truth[np.argsort(-values)[:PICKS]].sum() / best)
            rows.append((name + kind, passes, float(np.mean(kept))))
    return rows


def plain_network(model: MnistCnn) -> nn.Sequential:
    """The fitted network of torch's own layers, dropout included, for those who do not know ours."""
    network = model._fitted()
    layers = [nn.MaxPool2d(2) if type(layer).__name__ == "_MaxPool" else layer for layer in network.trunk]
    return copy.deepcopy(nn.Sequential(*layers, nn.Dropout(model._dropout), network.head)).eval()


def anew(model: MnistCnn) -> MnistCnn:
    """The same version with no features cached."""
    return MnistCnn.from_state(model.labels, *model.state())


def pixels(images: Images) -> NDArray[np.float32]:
    """Images as the network wants them, ``[N, 1, 28, 28]`` in [0, 1]."""
    return images[:, None].astype(np.float32) / 255


def _transform() -> transforms.Compose:
    from torchvision import transforms  # here: it takes as long as torch itself

    return transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])


def _seed_pass(network: nn.Module, images: Images, transform: transforms.Compose) -> torch.Tensor:
    """One of T passes as in Cloudera's application: every image decoded and standardised anew, the whole network run.

    Rebuilt from activelearning/sample.py, dataset.py and data.py of
    https://github.com/cloudera/CML_AMP_Active_Learning (Apache-2.0): train mode, batches of 1,000, one pass after the
    other over the same loader. (It runs the loader in a process of its own; here its time counts.)
    """
    out = []
    with torch.no_grad():
        for start in range(0, len(images), SEED_BATCH):
            batch = torch.stack([transform(Image.fromarray(image)) for image in images[start : start + SEED_BATCH]])
            out.append(F.softmax(network(batch), dim=1))
    return torch.cat(out)
