"""The query strategies, by name.

Add one: a function in a file, and an entry in ``STRATEGIES``. The command line, the settings, the simulation, the
table in docs/strategies.md and the contract tests follow the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.strategies import acquisition, auto, badge, batch_bald, clusters, geometry, novelty, transfer
from ml_backend.strategies.inputs import Need, StrategyInputs, require
from ml_backend.strategies.picks import Floats, Picks, first_of_copies

EPIG_TARGETS = 100
"""Items, drawn from the pool, about whose labels `epig` asks."""


@dataclass(frozen=True)
class Strategy:
    """One registry entry: exactly one of ``score`` and ``pick``."""

    when: str
    """What it asks first and when to use it, in one line."""
    equation: str
    source: str
    cost: str
    """N items, K passes, C classes, D dimensions, L labels, V evaluation items, B picks."""
    needs: frozenset[Need] = frozenset()
    """What it reads; without ``probabilities`` and ``embeddings`` it works before a first model."""
    score: Callable[[StrategyInputs], Floats] | None = None
    """Normalised scores in [0, 1] ``[N]``; the largest are asked first."""
    pick: Callable[[StrategyInputs, int], Picks] | None = None
    """A batch whose members know of each other; at most as many as asked for."""
    copies: Callable[[StrategyInputs], NDArray[np.floating]] | None = None
    """Rows that are equal for copies of an item: copies are asked after all else. Only for ``pick``."""
    itemwise: bool = False
    """Whether an item's score depends on that item alone, so that `/predict` can give it."""
    caveat: str = ""
    """Where it fails."""

    @property
    def batch_aware(self) -> bool:
        """Whether picks know of each other."""
        return self.pick is not None


def _needs(*names: Need) -> frozenset[Need]:
    return frozenset(names)


def _p(inputs: StrategyInputs) -> acquisition.Probabilities:
    return require(inputs.probabilities)


def _h(inputs: StrategyInputs) -> NDArray[np.floating]:
    return require(inputs.embeddings)


def _labelled(inputs: StrategyInputs) -> NDArray[np.floating]:
    return require(inputs.labelled)


def _validation(inputs: StrategyInputs) -> NDArray[np.floating]:
    return require(inputs.validation)


def _wrong(inputs: StrategyInputs) -> NDArray[np.bool_]:
    return require(inputs.wrong)


def _flat_p(inputs: StrategyInputs) -> NDArray[np.floating]:
    return _p(inputs).reshape(len(inputs), -1)


def _ln_c(inputs: StrategyInputs) -> float:
    return float(np.log(inputs.classes))


def _novelty(inputs: StrategyInputs, count: int) -> Picks:
    if inputs.features is None or inputs.labelled_features is None:
        raise AcquisitionError("novelty needs features of open and labelled items.")
    return novelty.novelty(inputs.features, inputs.labelled_features, count)


def _auto(inputs: StrategyInputs, count: int) -> Picks:
    if inputs.neighbourhood is None:
        raise AcquisitionError("auto needs a neighbour graph of the items.")
    return auto.auto(inputs.neighbourhood, count, inputs.rng(8))


def _nodes(inputs: StrategyInputs) -> NDArray[np.floating]:
    """The node of each item, which copies share ``[N, 1]``."""
    if inputs.neighbourhood is None:
        raise AcquisitionError("auto needs a neighbour graph of the items.")
    return inputs.neighbourhood.open[:, None].astype(np.float64)


def _feature_sums(inputs: StrategyInputs) -> NDArray[np.floating]:
    """A number per item that is the same for the same features ``[N, 1]``."""
    if inputs.features is None:
        raise AcquisitionError("novelty needs features of open and labelled items.")
    keys = np.random.default_rng(0).integers(2**40, size=inputs.features.shape[1])
    return np.asarray(((inputs.features != 0).astype(np.int64) @ keys)[:, None], dtype=np.float64)


STRATEGIES: Final[dict[str, Strategy]] = {
    "auto": Strategy(
        "typical items of clusters first, then items between the classes that are like many others; the default",
        "`m · S S m`, `m = 1 - (p₁ - p₂)`, p spread over the graph S, averaged with the model's",
        "Zhou et al. 2004; Hacohen, Dekel & Weinshall 2022",
        "O(N k C) a pick, beside the graph",
        _needs("neighbourhood", "labelled"),
        pick=_auto,
        copies=_nodes,
        caveat="an item that is like no other is asked late: add a small part of `novelty` or `k_center`",
    ),
    "entropy": Strategy(
        "the items the model is least certain about, over all classes; a good default",
        "`H(p) / ln C`, `H(p) = -Σ p ln p`",
        "Shannon 1948; Settles 2009",
        "O(N C)",
        _needs("probabilities"),
        score=lambda e: acquisition.entropy(_p(e)),
        itemwise=True,
        caveat="on AG News titles, models of labels alone, worse than random by 1.6 points from 40 to 300 labels",
    ),
    "dropout_entropy": Strategy(
        "as `entropy`, averaged over passes with dropout on (MC dropout): steadier with few labels",
        "`H(mean p) / ln C`",
        "Gal & Ghahramani 2016",
        "O(N K C)",
        _needs("probabilities", "samples"),
        score=lambda e: acquisition.entropy(_p(e)),
        itemwise=True,
        caveat="on digits with a linear model worse than random from 100 to 300 labels by 3.4 ± 2.6 points",
    ),
    "bald": Strategy(
        "items on which the passes are sure but disagree; ignores plain noise",
        "`H(mean p) - mean H(p)`, over `ln C`",
        "Houlsby et al. 2011; Gal, Islam & Ghahramani 2017",
        "O(N K C)",
        _needs("probabilities", "samples"),
        score=lambda e: acquisition.bald(_p(e)) / _ln_c(e),
        itemwise=True,
        caveat="the best items alone are often alike; for long queues take `batch_bald` or `power_bald`; "
        "on digits with a linear model worse than random by 16.0 ± 5.6 points from 10 to 100 labels, "
        "on titles by 7.3 ± 4.3",
    ),
    "least_confidence": Strategy(
        "lowest top probability; like entropy where there are two classes",
        "`(1 - p₁) · C/(C-1)`",
        "Lewis & Gale 1994; Monarch 2021, ch. 3",
        "O(N C)",
        _needs("probabilities"),
        score=lambda e: acquisition.least_confidence(_p(e)),
        itemwise=True,
    ),
    "margin": Strategy(
        "smallest gap between the two best classes: sharpens borders, strong with many classes",
        "`1 - (p₁ - p₂)`",
        "Scheffer, Decomain & Wrobel 2001",
        "O(N C)",
        _needs("probabilities"),
        score=lambda e: acquisition.margin(_p(e)),
        itemwise=True,
        caveat="on AG News titles, models of labels alone, worse than random by 0.5 points from 40 to 300 labels",
    ),
    "ratio": Strategy(
        "the two best classes by their ratio: as margin, but does not care how much is left for the others",
        "`p₂ / p₁`",
        "Monarch 2021, ch. 3",
        "O(N C)",
        _needs("probabilities"),
        score=lambda e: acquisition.ratio(_p(e)),
        itemwise=True,
    ),
    "variation_ratio": Strategy(
        "passes that vote for different classes; coarse, robust to badly calibrated probabilities",
        "`1 - largest share of the passes' votes`, over its most, `1 - 1/C`",
        "Freeman 1965; Gal, Islam & Ghahramani 2017",
        "O(N K C)",
        _needs("probabilities", "samples"),
        score=lambda e: acquisition.variation_ratio(_p(e)) * e.classes / (e.classes - 1),
        itemwise=True,
        caveat="K passes give at most K different scores: many ties, broken at random",
    ),
    "epig": Strategy(
        "items whose label would tell most about the labels of others: for pools with much that does not matter",
        "`mean_m [H(p) + H(p_m) - H(p, p_m)]` over 100 drawn items m, over `ln C`",
        "Bickford Smith et al. 2023",
        "O(100 N C² K)",
        _needs("probabilities", "samples"),
        score=lambda e: acquisition.epig(_p(e), _p(e)[:EPIG_TARGETS]) / _ln_c(e),
        caveat="slow above some 50 classes; "
        "on digits with a linear model worse than random by 17.4 ± 4.9 points from 10 to 100 labels",
    ),
    "batch_bald": Strategy(
        "the batch whose labels together tell most about the weights: for small batches (10 to 50)",
        "greedy by `H(y | y_1..y_b) - mean_k H(p_k(y))`, 10,000 joint labels kept (above 100 classes fewer)",
        "Kirsch, van Amersfoort & Gal 2019",
        "O(B · 10,000 · N K C) at worst, a few per cent of it as a rule",
        _needs("probabilities", "samples"),
        pick=lambda e, count: batch_bald.batch_bald(_p(e), count, e.uniforms),
        copies=_flat_p,
        caveat="with K passes a batch can tell at most ln K nats: later picks of a long queue are near random; "
        "on digits with a linear model worse than random by 9.9 ± 3.8 points from 10 to 100 labels",
    ),
    "power_bald": Strategy(
        "BALD with noise: spread-out batches of any length for the price of a ranking",
        "`ln BALD + Gumbel`, squashed",
        "Kirsch et al. 2021",
        "O(N K C)",
        _needs("probabilities", "samples"),
        score=lambda e: acquisition.power_bald(_p(e), e.noise),
        itemwise=True,
    ),
    "badge": Strategy(
        "uncertain and diverse at once, without dropout: for batches of any length",
        "k-means++ over `g = (p - onehot(argmax p)) ⊗ h`",
        "Ash et al. 2020",
        "O(B N (C + D))",
        _needs("probabilities", "embeddings"),
        pick=lambda e, count: badge.badge(_p(e), _h(e), count, e.rng(1)),
        copies=_h,
    ),
    "k_center": Strategy(
        "what is farthest from everything labelled or picked: covers the pool, outliers first",
        "greedy `argmax min_j |h - h_j|`, j labelled or picked",
        "Sener & Savarese 2018",
        "O((L + B) N D)",
        _needs("embeddings", "labelled"),
        pick=lambda e, count: geometry.k_center(_h(e), _labelled(e), count),
        copies=_h,
        caveat="asks for outliers and damaged items first; needs good embeddings; "
        "on digits with a linear model worse than random from 100 to 300 labels by 4.5 ± 2.6 points",
    ),
    "typiclust": Strategy(
        "the most typical item of each cluster without a label: for the cold start, a few labels per class",
        "k-means into L + B clusters; per cluster the largest `1 / mean distance to 20 neighbours`",
        "Hacohen, Dekel & Weinshall 2022",
        "O(10 N D (L + B) + N²D / (L + B))",
        _needs("embeddings", "labelled"),
        pick=lambda e, count: clusters.typiclust(_h(e), _labelled(e), count, e.rng(2)),
        copies=_h,
        caveat="once every kind is labelled it goes on asking for typical, easy items",
    ),
    "probcover": Strategy(
        "the items with most others close by and none labelled: for the cold start",
        "greedy `argmax |uncovered items within δ|`, δ where 95 % of the balls are pure",
        "Yehuda et al. 2022",
        "O(min(N, 8192)² D)",
        _needs("embeddings", "labelled"),
        pick=lambda e, count: geometry.probcover(_h(e), _labelled(e), count, classes=e.classes, rng=e.rng(3)),
        copies=_h,
        caveat="as `typiclust`; of a pool above 8,192 items it sees a drawn sample of that size; "
        "on digits with a linear model worse than random by 9.6 ± 4.8 points from 10 to 100 labels",
    ),
    "cluster": Strategy(
        "from each cluster its centroid, its outlier and random members: an overview of the pool",
        "k-means into B / 5 clusters; 1 centroid, 1 outlier, 3 random each",
        "Monarch 2021, ch. 4",
        "O(10 N D B / 5)",
        _needs("embeddings"),
        pick=lambda e, count: clusters.cluster(_h(e), count, e.rng(4)),
        copies=_h,
        caveat="on digits with a linear model worse than random from 100 to 300 labels by 3.4 ± 1.9 points",
    ),
    "representative": Strategy(
        "what is common in the pool and not yet among the labels: after the pool has changed",
        "`(2 + cos(h, mean open) - cos(h, mean labelled)) / 4`",
        "Monarch 2021, ch. 4",
        "O((N + L) D)",
        _needs("embeddings", "labelled"),
        score=lambda e: geometry.representative(_h(e), _labelled(e)),
        caveat="its best items are alike; `adaptive_representative` spreads them; "
        "on digits with a linear model worse than random by 14.3 ± 4.1 points from 10 to 100 labels",
    ),
    "adaptive_representative": Strategy(
        "as `representative`, computed anew after each pick: spreads out",
        "as `representative`, picks count as labelled",
        "Monarch 2021, ch. 4",
        "O((L + B) N D)",
        _needs("embeddings", "labelled"),
        pick=lambda e, count: geometry.adaptive_representative(_h(e), _labelled(e), count),
        copies=_h,
    ),
    "novelty": Strategy(
        "items full of words (of images: patterns) that no label has yet: finds new topics",
        "`unseen features / features`, picks count as seen",
        "Monarch 2021, ch. 7",
        "O(nnz + B N)",
        _needs("features", "labelled"),
        pick=_novelty,
        copies=_feature_sums,
        caveat="asks for odd items, typing errors too; best as a small part of a mixture",
    ),
    "model_outlier": Strategy(
        "items that move the model's units less than the evaluation items do: what it has never met",
        "`1 - mean over units of the rank among evaluation items`",
        "Monarch 2021, ch. 4",
        "O((N + V) D log V)",
        _needs("embeddings", "validation"),
        score=lambda e: transfer.model_outlier(_h(e), _validation(e)),
        caveat="best as a small part of a mixture; "
        "on digits with a linear model worse than random by 11.8 ± 7.3 points from 10 to 100 labels",
    ),
    "active_transfer": Strategy(
        "items like those evaluation items that the model gets wrong: finds confident mistakes",
        "`P(wrong | h)` by a logistic regression on the evaluation items",
        "Monarch 2021, ch. 5",
        "O(V D² + N D)",
        _needs("probabilities", "embeddings", "validation"),
        score=lambda e: transfer.active_transfer(_h(e), _validation(e), _wrong(e)),
        caveat="random while no evaluation answer is wrong; evaluation items steer the queue: report on others",
    ),
    "atlas": Strategy(
        "as `active_transfer`, assuming its picks corrected as it goes: all kinds of mistakes in one batch",
        "as `active_transfer`, trained anew every 10 picks with these as right",
        "Monarch 2021, ch. 5",
        "O(B / 10 · ((V + B) D² + N D))",
        _needs("probabilities", "embeddings", "validation"),
        pick=lambda e, count: transfer.atlas(_h(e), _validation(e), _wrong(e), count),
        copies=_h,
        caveat="as `active_transfer`",
    ),
    "random": Strategy(
        "any: the control arm that every claim needs, and the order before a first model",
        "a uniform draw per item, fixed by seed and task id",
        "",
        "O(N)",
        score=lambda e: e.draws.copy(),
        itemwise=True,
    ),
}


def get_strategy(name: str) -> Strategy:
    """Look a strategy up.

    Raises:
        AcquisitionError: the name is not registered; the message lists those that are.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise AcquisitionError(f"Unknown strategy {name!r}; choose one of: {', '.join(STRATEGIES)}.") from None


def pick(strategy: Strategy, inputs: StrategyInputs, count: int) -> Picks:
    """The first ``count`` items under a strategy; all where there are fewer.

    Copies of an item that a batch-aware strategy has chosen from come after all other items.
    """
    if strategy.score is not None:
        scores = np.clip(strategy.score(inputs), 0.0, 1.0)
        order = _largest(scores, count)
        return Picks.of(order, scores[order])
    if strategy.pick is None:
        raise AcquisitionError("A strategy has a function under `score` or under `pick`; this one has none.")
    if strategy.copies is None or not len(inputs):
        return strategy.pick(inputs, count)
    first = first_of_copies(strategy.copies(inputs))
    rows = np.flatnonzero(first)
    chosen = strategy.pick(inputs.take(rows), count)
    copies = np.flatnonzero(~first)[: max(0, count - len(chosen.order))]
    order = np.concatenate([rows[chosen.order], copies])
    reasons = {int(rows[position]): reason for position, reason in chosen.reasons.items()}
    reasons |= dict.fromkeys(copies.tolist(), "a copy of a task that is asked before")
    return Picks.of(order, np.concatenate([chosen.utility, np.zeros(len(copies))]), reasons)


def _largest(scores: Floats, count: int) -> NDArray[np.int64]:
    """Positions of the largest scores, largest first; of equal ones the earlier."""
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count] if count else np.inf
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    return np.asarray(candidates[np.argsort(-scores[candidates], kind="stable")][:count], dtype=np.int64)
