"""Small grey images (28 x 28): a convolutional trunk, dropout only before the output.

``image [1, 28, 28] -> 3 x (conv 3x3, max-pool, batch norm, ReLU) -> linear, ReLU [D] -> dropout -> linear [C]``

The trunk has nothing random in it, so K Monte-Carlo dropout passes cost one trunk pass and one matrix product.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

from ml_backend import hardware
from ml_backend.encoders.feature_cache import FeatureCache
from ml_backend.errors import BadItemError, ModelError
from ml_backend.models import checks
from ml_backend.models import torch_parts as _shared
from ml_backend.models.base import LabeledItems, Targets, TrainingReport
from ml_backend.records import Progress, no_progress

SIDE = 28
CHANNELS = (16, 32, 64)
HIDDEN = 128
MAX_PIXELS = 50_000_000
"""A picture to be seen at 28 x 28 is never larger; a decompression bomb is."""

WATCHED = 200
"""Images trained on for each validation image: looking at these 20 times then costs some 3 % of the training."""

BLOCK = 200
"""Images in the trunk at a time: bounds memory, whatever the size of the pool."""
GPU_BLOCK = 4096
CHANNELS_LAST: Final = torch.channels_last
"""Layout of the weights, and with them of all activations: max-pooling is then several times faster."""

ROTATION, SCALE, SHEAR, SHIFT = math.radians(15), 0.15, 0.2, 0.15
"""Largest augmentation: radians, share, share, share of half the side (2 pixels). A digit stays the same digit."""

Images = NDArray[np.uint8]


class _MaxPool(nn.Module):
    """Largest of each 2 x 2 pixels. torch notes where each was, for the gradient: in evaluation that cost a quarter."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return F.max_pool2d(x, 2)
        rows, columns = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        higher = torch.maximum(x[:, :, 0:rows:2, :columns], x[:, :, 1:rows:2, :columns])
        return torch.maximum(higher[..., 0::2], higher[..., 1::2])


class _Network(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (1, *CHANNELS)
        layers: list[nn.Module] = []
        for before, after in zip(widths, CHANNELS, strict=False):
            # Pooling first: batch norm and ReLU then run on a quarter of the pixels.
            convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [convolution, _MaxPool(), nn.BatchNorm2d(after), nn.ReLU()]
        side = SIDE // 2 ** len(CHANNELS)
        layers += [nn.Flatten(), nn.Linear(CHANNELS[-1] * side * side, HIDDEN), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(HIDDEN, classes)


class MnistCnn:
    """Image classifier for digits and other small grey pictures."""

    name: ClassVar[str] = "mnist_cnn"
    object_tag: ClassVar[str] = "Image"
    learns_features: ClassVar[bool] = True

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = checks.check_labels(self.name, labels)
        self._network: _Network | None = None
        self._dropout = 0.0
        self._cache = FeatureCache(HIDDEN)

    @property
    def stochastic(self) -> bool:
        """Whether dropout passes differ from each other."""
        return self._dropout > 0

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: it needs no weights."""
        return None

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``; ``steps=0`` chooses by the number of examples."""
        return {
            "steps": 0,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "weight_decay": 0.05,
            "dropout": 0.5,
            "label_smoothing": 0.05,
        }

    @classmethod
    def read_item(cls, raw: bytes | str) -> Images:
        """Decode an image of any size and mode to grey ``uint8 [28, 28]``.

        Transparent parts become white, as annotators see them in the browser. Other sizes are scaled to fit and
        centred on the colour of their border; a grey 28 x 28 image comes through unchanged.

        Raises:
            BadItemError: no image of a known format, a truncated one, or one far too large to be a real picture.
        """
        if not isinstance(raw, (bytes, bytearray)):
            raise BadItemError(f"Expected the bytes of an image, got {type(raw).__name__}; check the value of <Image>")
        try:
            with Image.open(io.BytesIO(raw)) as image:
                # Nothing is decoded yet; Pillow itself only warns up to 179 million pixels.
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, limit {MAX_PIXELS}")
                return _fit_grey(image)
        # A decompression bomb, or a damaged file: Pillow's decoders raise many kinds of errors on those.
        except Exception as exc:
            raise BadItemError(f"Not a readable image ({len(raw)} bytes): {exc}") from exc

    @hardware.threads()
    def fit(
        self,
        items: Sequence[Images],
        targets: Targets,
        *,
        seed: int,
        hyperparameters: Mapping[str, Any] | None = None,
        validation: LabeledItems | None = None,
        progress: Progress = no_progress,
    ) -> TrainingReport:
        """Train from scratch; see ``Model.fit``.

        AdamW on a one-cycle schedule (Smith & Topin 2017, https://arxiv.org/abs/1708.07120), each batch freshly
        distorted, labels smoothed (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
        """
        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        y = torch.from_numpy(checks.check_training_data(self.name, items, targets, self.labels))
        x, count, device = _unit(self._stack(items)), len(items), hardware.device()
        x, y = x.to(device), y.to(device)
        generator = torch.Generator().manual_seed(seed)
        with torch.device("meta"):
            network = _Network(len(self.labels))
        _shared.initialise(network, generator)
        network.to(memory_format=CHANNELS_LAST).to(device)
        batch = int(chosen["batch_size"])
        steps = int(chosen["steps"]) or default_steps(count)
        optimizer = torch.optim.AdamW(
            network.parameters(), chosen["learning_rate"], weight_decay=chosen["weight_decay"], fused=True
        )
        network.train()

        def loss(logits: Tensor, targets: Tensor) -> Tensor:
            return F.cross_entropy(logits, targets, label_smoothing=chosen["label_smoothing"])

        def loss_of(picked: Tensor) -> Tensor:
            hidden = network.trunk(distort(x[picked], generator))
            return loss(network.head(_shared.dropout(hidden, chosen["dropout"], generator)), y[picked])

        watch = None
        seen = _shared.held_out(self.name, validation, self.labels, steps * batch // WATCHED)
        if seen is not None:
            held_x, held_y = _unit(self._stack(seen[0])).to(device), seen[1].to(device)
            watch = _shared.Watch(network, len(held_y), lambda: loss(network.head(network.trunk(held_x)), held_y))
        epochs, curve = _shared.minimise(
            self.name,
            loss_of,
            optimizer,
            examples=count,
            batch=batch,
            steps=steps,
            generator=generator,
            progress=progress,
            watch=watch,
        )
        self._network, self._dropout, self._cache = network.eval().cpu(), chosen["dropout"], FeatureCache(HIDDEN)
        used = chosen | {"steps": steps, "seed": seed}
        return TrainingReport(count, len(epochs), time.perf_counter() - started, epochs, used, curve)

    def probabilities(self, items: Sequence[Images], *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]``; see ``Model.probabilities``."""
        network = self._fitted()
        checks.check_samples(self.name, samples)
        hidden = self.embed(items)
        with hardware.threads(), torch.inference_mode():
            return _shared.head_probabilities(hidden, network.head, self._dropout, samples, seed)

    def embed(self, items: Sequence[Images]) -> NDArray[np.float32]:
        """Hidden activations ``[N, D]``, dropout off; computed once per image."""
        self._fitted()
        return self._cache.get(items, _digest, self._embed)

    @hardware.threads()
    def _embed(self, items: Sequence[Images]) -> NDArray[np.float32]:
        device, dtype = hardware.device(), hardware.precision()
        trunk = _folded(self._fitted().trunk).to(memory_format=CHANNELS_LAST).to(device, dtype)
        size = BLOCK if device.type == "cpu" else GPU_BLOCK
        out = np.empty((len(items), HIDDEN), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), size):
                block = self._stack(items[start : start + size]).to(device).to(dtype)
                out[start : start + size] = trunk(block).float().cpu().numpy()
        return out

    def sharpen(self, factor: float) -> None:
        """Multiply all logits; see ``Model.sharpen``."""
        _shared.scale_head(self._fitted().head, factor)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and configuration for ``from_state``."""
        # Contiguous, as safetensors wants it.
        weights = {
            name: value.detach().clone(memory_format=torch.contiguous_format)
            for name, value in self._fitted().state_dict().items()
        }
        return weights, {"dropout": self._dropout}

    @classmethod
    def from_state(cls, labels: Sequence[str], weights: dict[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a fitted model; see ``Model.from_state``."""
        model = cls(labels)
        model._dropout = _shared.stored_number(cls.name, config, "dropout")
        with torch.device("meta"):
            model._network = _Network(len(model.labels))
        _shared.load_weights(cls.name, model._network, weights)
        model._network.to(memory_format=CHANNELS_LAST)
        return model

    def _fitted(self) -> _Network:
        return _shared.fitted(self.name, self._network)

    def _stack(self, items: Sequence[Images]) -> Tensor:
        """Items as ``uint8 [N, 1, 28, 28]``."""
        try:
            pixels = np.stack(items)
        except ValueError as exc:
            raise ModelError(f"{self.name}: items differ in shape; pass what read_item returned") from exc
        if pixels.shape[1:] != (SIDE, SIDE) or pixels.dtype != np.uint8:
            raise ModelError(f"{self.name}: items must be uint8 [28, 28], not {pixels.dtype} {list(pixels.shape[1:])}")
        return torch.from_numpy(pixels)[:, None]


def _unit(pixels: Tensor) -> Tensor:
    """Pixels as float32 in [0, 1]."""
    return pixels.float().div_(255)


def _digest(image: Images) -> bytes:
    """Stands for an image that ``read_item`` returned."""
    return hashlib.blake2b(np.asarray(image).tobytes(), digest_size=16).digest()


def default_steps(examples: int) -> int:
    """Training steps: 400 (about 5 s on one core) up to 1,000 examples, then growing with their square root."""
    return round(400 * math.sqrt(max(1.0, examples / 1000)))


def _folded(trunk: nn.Sequential) -> nn.Sequential:
    """The trunk to score raw pixels with: each batch norm, and the division by 255, put into its convolution.

    ``max_i(c_i) s + b = max_i(s c_i + b)`` for ``s > 0``: a scale can go before the pooling unless it is negative,
    which is rare; such a layer keeps its batch norm. The trained weights stay as they are.
    """
    layers: list[nn.Module] = []
    unit = 255.0
    for layer in trunk:
        if isinstance(layer, nn.Conv2d):
            weight, bias = layer.weight.detach() / unit, torch.zeros(layer.out_channels)
            layers.append(_convolution(weight, bias))
            unit = 1.0
        elif isinstance(layer, nn.BatchNorm2d) and (affine := _affine(layer))[0].min() > 0:
            scale, shift = affine
            layers[-2] = _convolution(weight * scale[:, None, None, None], shift)  # behind it stands the pooling
        else:
            layers.append(copy.deepcopy(layer))
    return nn.Sequential(*layers).eval()


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    with torch.device("meta"):  # which draws no random numbers
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=1)
    layer.weight, layer.bias = (nn.Parameter(values, requires_grad=False) for values in (weight, bias))
    return layer


def _affine(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm in evaluation multiplies each channel with, and what it adds ``[C]``."""
    values = layer.state_dict()
    scale = values["weight"] * torch.rsqrt(values["running_var"] + layer.eps)
    return scale, values["bias"] - scale * values["running_mean"]


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shear and shift each image ``[N, 1, H, W]`` by its own random amounts, in one resampling."""
    u = (torch.rand(7, len(images), generator=generator) * 2 - 1).to(images.device)  # [-1, 1)
    cos, sin = torch.cos(u[0] * ROTATION), torch.sin(u[0] * ROTATION)
    wide, high, shear = 1 + u[1] * SCALE, 1 + u[2] * SCALE, u[3] * SHEAR
    rows = [cos * wide, shear - sin * high, u[4] * SHIFT, sin * wide, cos * high, u[5] * SHIFT]
    grid = F.affine_grid(torch.stack(rows, dim=1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _fit_grey(image: Image.Image) -> Images:
    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    elif image.mode.startswith(("I", "F")):
        # Pillow would clip 16- and 32-bit grey at 255; scale it instead.
        values = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0)
        top = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1.0)
        image = Image.fromarray((values.clip(0, top) * (255 / top)).round().astype(np.uint8))
    grey = image.convert("L")
    if grey.size != (SIDE, SIDE):
        pixels = np.asarray(grey)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        grey = ImageOps.pad(grey, (SIDE, SIDE), method=Image.Resampling.LANCZOS, color=int(np.median(border)))
    return np.array(grey, dtype=np.uint8)
