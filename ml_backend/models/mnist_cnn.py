"""Small grey images (28 x 28): a convolutional trunk, dropout only before the output.

``image [1, 28, 28] -> 3 x (conv 3x3, max-pool, batch norm, ReLU) -> linear, ReLU [D] -> dropout -> linear [C]``
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.encoders.pictures import GREY_SIDE, Pixels, decode_grey
from ml_backend.errors import ModelError
from ml_backend.models.reading import ItemReader, one_by_one
from ml_backend.models.torch_classifier import TorchClassifier

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ml_backend.models.mnist_network import Network
    from ml_backend.models.training import Plan

HIDDEN = 128
WATCHED = 200
"""Images trained on for each validation image: looking at these then costs little beside the training."""

BLOCK = 200
"""Images in the trunk at a time: bounds memory, whatever the size of the pool."""
GPU_BLOCK = 4096


class MnistCnn(TorchClassifier["Network"]):
    """Image classifier for digits and other small grey pictures.

    AdamW on a one-cycle schedule (Smith & Topin 2017, https://arxiv.org/abs/1708.07120), each batch freshly
    distorted, labels smoothed (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
    """

    name: ClassVar[str] = "mnist_cnn"
    object_tag: ClassVar[str] = "Image"
    dimensions: ClassVar[int] = HIDDEN
    embedding: ClassVar[str] = "gradients"
    """Of the pool, see `encoders`: what reads the same items."""

    @classmethod
    def reader(cls, hyperparameters: Mapping[str, Any]) -> ItemReader:  # noqa: ARG003 (it reads in one way)
        """Pictures as small grey squares."""
        return ItemReader("grey-28", lambda raws: one_by_one(decode_grey, raws), is_light=True)

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``; ``steps=0`` chooses by the number of examples.

        ``warm_starts``: versions in a row that go on from the weights of the one before, learning from the pool, before
        one begins anew; 0: each does. It changes no single ``fit``.
        """
        return {
            "steps": 0,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "weight_decay": 0.05,
            "dropout": 0.5,
            "label_smoothing": 0.05,
            "warm_starts": 4,
        }

    @classmethod
    def read_item(cls, raw: bytes | str) -> Pixels:
        """Decode an image to grey ``uint8 [28, 28]``; see `decode_grey`."""
        return decode_grey(raw)

    def seen(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the head sees of pictures as rows of pixels ``[N, 784]``, as `pool` keeps them: features ``[N, D]``."""
        return self._features(list(vectors.astype(np.uint8).reshape(-1, GREY_SIDE, GREY_SIDE)))

    def _plan(
        self, items: Sequence[Pixels], targets: Tensor, chosen: Mapping[str, Any], generator: torch.Generator
    ) -> Plan[Network]:
        from ml_backend.models.layers import dropout
        from ml_backend.models.mnist_network import distort, new_network
        from ml_backend.models.optimizers import AdamW
        from ml_backend.models.training import Plan, loss_of

        device = hardware.device()
        x, y = _unit(self._stack(items)).to(device), targets.to(device)
        network = new_network(HIDDEN, len(self.labels), generator).to(device).train()
        batch, steps = int(chosen["batch_size"]), int(chosen["steps"]) or default_steps(len(items))
        loss = loss_of(multiple=self.multiple, smoothing=chosen["label_smoothing"])

        def batch_loss(picked: Tensor) -> Tensor:
            hidden = network.trunk(distort(x[picked], generator))
            return loss(network.head(dropout(hidden, chosen["dropout"], generator)), y[picked])

        def held_out_loss(held: Sequence[Pixels], y: Tensor) -> Callable[[], Tensor]:
            x, y = _unit(self._stack(held)).to(device), y.to(device)
            return lambda: loss(network.head(network.trunk(x)), y)

        optimizer = AdamW(network.parameters(), chosen["learning_rate"], decay=chosen["weight_decay"])
        most = steps * batch // WATCHED
        return Plan(network, optimizer, batch, steps, batch_loss, held_out_loss, most, {"steps": steps})

    @hardware.threads()
    def _features(self, items: Sequence[Pixels]) -> NDArray[np.float32]:
        import torch

        from ml_backend.models.mnist_network import CHANNELS_LAST, folded

        device, dtype = hardware.device(), hardware.precision()
        trunk = folded(self._fitted().trunk).to(memory_format=CHANNELS_LAST).to(device, dtype)
        size = BLOCK if device.type == "cpu" else GPU_BLOCK
        out = np.empty((len(items), HIDDEN), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), size):
                block = self._stack(items[start : start + size]).to(device).to(dtype)
                out[start : start + size] = trunk(block).float().cpu().numpy()
        return out

    def _empty(self, config: Mapping[str, Any]) -> Network:  # noqa: ARG002 (the labels say all)
        from ml_backend.models.mnist_network import Network

        return Network(HIDDEN, len(self.labels))

    @staticmethod
    def _key(item: Pixels) -> Hashable:
        return hashlib.blake2b(np.asarray(item).tobytes(), digest_size=16).digest()

    def _stack(self, items: Sequence[Pixels]) -> Tensor:
        """Items as ``uint8 [N, 1, 28, 28]``."""
        import torch

        try:
            pixels = np.stack(items)
        except ValueError as exc:
            raise ModelError(f"{self.name}: items differ in shape; pass what read_item returned") from exc
        if pixels.shape[1:] != (GREY_SIDE, GREY_SIDE) or pixels.dtype != np.uint8:
            raise ModelError(f"{self.name}: items must be uint8 [28, 28], not {pixels.dtype} {list(pixels.shape[1:])}")
        return torch.from_numpy(pixels)[:, None]


def _unit(pixels: Tensor) -> Tensor:
    """Pixels as float32 in [0, 1]."""
    return pixels.float().div_(255)


def default_steps(examples: int) -> int:
    """Training steps: 400 up to 1,000 examples, then growing with their square root."""
    return round(400 * math.sqrt(max(1.0, examples / 1000)))
