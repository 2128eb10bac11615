"""BatchBALD: the batch whose labels, together, tell most about the weights (Kirsch, van Amersfoort & Gal 2019).

Axes: ``N`` items, ``K`` passes, ``C`` classes, ``B`` picks, ``S`` configurations (joint labels of the picks so far).
The passes must be sampled networks, each with one dropout mask for all items: joint labels mean nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.strategies.acquisition import BLOCK_BYTES, Floats, Probabilities, bald
from ml_backend.strategies.base import Strategy, needs, probabilities_of
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Picks

if TYPE_CHECKING:
    from torch import Tensor

CONFIGURATIONS = 10_000
"""Joint labels kept: all of them while there are at most so many, else a sample of this size."""
FEW = 16
"""Items whose gain is computed at once, best bound first."""


@hardware.threads()
def batch_bald(
    probabilities: Probabilities,
    count: int,
    uniforms: Callable[[int, int], Floats],
    *,
    configurations: int | None = None,
) -> Picks:
    """Pick greedily by ``I(y_1..y_b, y; w) - I(y_1..y_b; w) = H(y | y_1..y_b) - mean_k H(p_k(y))``, in nats.

    ``H(y | y_1..y_b)`` is the mean over configurations of ``H(sum_k pi_k p_k(y))``, ``pi_k`` the share of pass k in
    the configuration's probability. While ``C^b`` is at most ``configurations`` these are all of them, weighted, and
    the gain is exact; beyond, a sample drawn from the passes, equal parts from each (as in the paper, section 3.3.1).

    A gain never rises with the batch, so the last one computed for an item bounds its next. Items are computed in
    falling order of their bound until no bound is above the best gain: the picks are those of the full computation,
    usually at a few per cent of its cost, O(B S N K C) at worst, and nothing is left out beforehand.

    Args:
        probabilities: ``[N, K, C]``; of equal gains the earlier row's wins.
        count: B.
        uniforms: ``(row, size)`` to that many uniform draws in [0, 1), the same at each call.
        configurations: S; by default 10,000, above 100 classes fewer, down to 1,000: S C stays at 10^6.

    Returns:
        Picks with gains over ``ln C``.
    """
    import torch

    items, passes, classes = probabilities.shape
    configurations = configurations or min(CONFIGURATIONS, max(CONFIGURATIONS // 10, 100 * CONFIGURATIONS // classes))
    p = torch.from_numpy(np.ascontiguousarray(probabilities, dtype=np.float64))
    bound = bald(probabilities.astype(np.float64, copy=False))
    entropies = -(torch.xlogy(p, p)).sum(dim=2).mean(dim=1).numpy()  # [N], mean_k H(p_k)
    batch = _Configurations(passes, classes, configurations)
    order: list[int] = []
    gains: list[float] = []
    for _ in range(min(count, items)):
        if not order:  # the first gain is BALD itself
            best = int(np.argmax(bound))
        else:
            best = _largest(bound, lambda rows: batch.conditional_entropy(p[rows]) - entropies[rows])
        order.append(best)
        gains.append(max(float(bound[best]), 0.0))
        bound[best] = -np.inf
        batch.add(p[best], uniforms(best, configurations))
    return Picks.of(order, np.array(gains) / np.log(classes))


@hardware.threads()
def batch_bald_of_sets(
    probabilities: Probabilities, count: int, uniforms: Callable[[int, int], Floats], *, largest: bool = False
) -> Picks:
    """`batch_bald` where answers are sets: a gain is the mean, or the ``largest``, of its classes' own.

    Each class is a question of yes and no, about which the batch tells by its own labels of that class. As gains of a
    class never rise with the batch, neither do these, so that items are computed in the same lazy way.

    Args:
        probabilities: ``[N, K, C]``, each class by itself.
        count: B.
        uniforms: as of `batch_bald`; the classes share the draws.
        largest: the largest gain of a class counts.
    """
    import torch

    items, passes, classes = probabilities.shape
    kept = min(CONFIGURATIONS, max(CONFIGURATIONS // 10, 10 * CONFIGURATIONS // classes))
    yes = torch.from_numpy(np.ascontiguousarray(probabilities.transpose(2, 0, 1), dtype=np.float64))
    p = torch.stack([1 - yes, yes], dim=3)  # [C, N, K, 2]
    entropies = -(torch.xlogy(p, p)).sum(dim=3).mean(dim=2).numpy()  # [C, N]

    def together(gains: list[Floats]) -> Floats:
        return np.asarray(np.max(gains, axis=0) if largest else np.mean(gains, axis=0))

    bound = together([bald(p[c].numpy()) for c in range(classes)])
    batches = [_Configurations(passes, 2, kept) for _ in range(classes)]

    def gain(rows: NDArray[np.int64]) -> Floats:
        own = enumerate(batches)
        return together([batch.conditional_entropy(p[c][rows]) - entropies[c][rows] for c, batch in own])

    order: list[int] = []
    gains: list[float] = []
    for _ in range(min(count, items)):
        best = _largest(bound, gain) if order else int(np.argmax(bound))
        order.append(best)
        gains.append(max(float(bound[best]), 0.0))
        bound[best] = -np.inf
        for c, batch in enumerate(batches):
            batch.add(p[c][best], uniforms(best, kept))
    return Picks.of(order, np.array(gains) / np.log(2))


def _batch_bald(inputs: StrategyInputs, count: int) -> Picks:
    p = probabilities_of(inputs)
    if inputs.several:
        return batch_bald_of_sets(p, count, inputs.uniforms, largest=inputs.over_classes == "largest")
    return batch_bald(p, count, inputs.uniforms)


def _flat(inputs: StrategyInputs) -> NDArray[np.floating]:
    """All probabilities of each item in one row ``[N, K C]``."""
    return probabilities_of(inputs).reshape(len(inputs), -1)


BATCH_BALD: Final = Strategy(
    "the batch whose labels together tell most about the weights: for small batches (10 to 50)",
    "greedy by `H(y | y_1..y_b) - mean_k H(p_k(y))`, 10,000 joint labels kept (above 100 classes fewer)",
    "Kirsch, van Amersfoort & Gal 2019",
    "O(B · 10,000 · N K C) at worst, a few per cent of it as a rule",
    needs("probabilities", "samples"),
    pick=_batch_bald,
    copies=_flat,
    takes_several=True,
    caveat="with K passes a batch can tell at most ln K nats: later picks of a long queue are near random; "
    "on digits with a linear model worse than random from 10 to 100 labels",
)


def _largest(bound: Floats, gain: Callable[[NDArray[np.int64]], Floats]) -> int:
    """Position of the largest gain; ``bound``, at least as large as each item's gain, is tightened where computed."""
    waiting = np.argsort(-bound, kind="stable")
    best, best_gain, start, size = -1, -np.inf, 0, FEW
    while start < len(waiting) and bound[waiting[start]] >= best_gain:
        rows = waiting[start : start + size]
        rows = rows[np.isfinite(bound[rows])]
        if not len(rows):
            break
        # Never above the old bound: exact gains are not, and the noise of sampled ones must not undo the order.
        bound[rows] = np.minimum(gain(rows), bound[rows])
        top = bound[rows].max()
        first = int(rows[bound[rows] == top].min())
        if top > best_gain or (top == best_gain and first < best):
            best, best_gain = first, float(top)
        start, size = start + size, 2 * size
    return best


class _Configurations:
    """Joint labels of the picks so far, each with the probability that every pass gives it."""

    def __init__(self, passes: int, classes: int, limit: int) -> None:
        import torch

        self._limit = max(limit, passes)
        self._joint = torch.ones(1, passes, dtype=torch.float64)  # [S, K]: prod_b p_k(y_b)
        self._sampled = False
        self._classes = classes
        self._picked: list[tuple[Tensor, Floats]] = []

    def add(self, p: Tensor, draws: Floats) -> None:
        """Extend by an item's probabilities ``[K, C]``."""
        import torch

        self._picked.append((p, draws))
        if self._sampled:
            self._joint = self._sampled_labels(p, draws, self._joint)
        elif len(self._joint) * self._classes <= self._limit:
            self._joint = (self._joint[:, None, :] * p.T[None]).reshape(-1, p.shape[0])
        else:
            self._sampled = True
            self._joint = torch.ones(self._limit, p.shape[0], dtype=torch.float64)
            for picked, its_draws in self._picked:
                self._joint = self._sampled_labels(picked, its_draws, self._joint)

    def conditional_entropy(self, p: Tensor) -> Floats:
        """``H(y | labels of the picks)`` of items ``[n, K, C]``: ``[n]``, in nats."""
        import torch

        mass = self._joint.sum(dim=1)  # [S], K p(configuration)
        share = self._joint / mass.clamp_min(torch.finfo(torch.float64).tiny)[:, None]  # [S, K]: pi
        weight = torch.full_like(mass, 1 / len(mass)) if self._sampled else mass / mass.sum()
        out = np.empty(len(p))
        step = max(1, 4 * BLOCK_BYTES // (8 * len(share) * self._classes))
        for start in range(0, len(p), step):
            block = p[start : start + step]
            flat = block.permute(1, 0, 2).reshape(block.shape[1], -1)  # [K, n C]
            y = share @ flat  # [S, n C]
            terms = y.clamp_min(torch.finfo(y.dtype).tiny).log_().mul_(y)
            out[start : start + step] = -(weight @ terms).reshape(len(block), -1).sum(dim=1).numpy()
        return out

    def _sampled_labels(self, p: Tensor, draws: Floats, joint: Tensor) -> Tensor:
        import torch

        source = torch.arange(len(joint)) % p.shape[0]  # pass that each configuration is drawn from
        edges = p.cumsum(dim=1)[source]  # [S, C]
        u = torch.from_numpy(draws[: len(joint)])[:, None] * edges[:, -1:]
        labels = (u >= edges).sum(dim=1).clamp_max_(p.shape[1] - 1)  # [S]
        joint = joint * p[:, labels].T
        return joint / joint.amax(dim=1, keepdim=True)  # only the shares count; products of many would underflow
