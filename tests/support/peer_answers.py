"""Asks the peer libraries what our strategies are compared with. Runs in their own environment: .venv-peers.

``python peer_answers.py IN.npz OUT.npz``: arrays in, arrays out, so that the two environments share nothing else.
"""

import contextlib
import io
import sys

import numpy as np
import torch
from baal.active import heuristics
from batchbald_redux.batchbald import get_bald_batch, get_batchbald_batch
from modAL.disagreement import consensus_entropy
from modAL.uncertainty import _proba_entropy, _proba_margin, _proba_uncertainty
from skactiveml.pool import CoreSet, ProbCover, TypiClust
from skactiveml.pool._badge import _d_2
from skactiveml.pool._bald import batch_bald
from skactiveml.pool._query_by_committee import variation_ratios
from skactiveml.pool._uncertainty_sampling import uncertainty_scores
from small_text.query_strategies.bayesian import _bald
from small_text.query_strategies.coresets import greedy_coreset
from small_text.query_strategies.strategies import BreakingTies


class Consensus:
    """A committee for modAL whose members have already spoken."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def predict_proba(self, _items):
        return self.probabilities.mean(axis=1)


class GivenClusters:
    """A clustering for scikit-activeml that has already been made."""

    def __init__(self, n_clusters=0, labels=None):
        self.labels = labels

    def fit_predict(self, _items):
        return self.labels


def uncertainties(p, targets):
    """Scores of ``p [N, K, C]``."""
    mean, last = p.mean(axis=1), np.moveaxis(p, 1, 2)  # baal wants [N, C, K]
    log_p = torch.from_numpy(p).clamp_min(1e-300).log()
    bald = get_bald_batch(log_p, len(p))
    votes = p.argmax(axis=2)
    return {
        "baal_entropy": heuristics.Entropy().compute_score(last),
        "baal_margin": heuristics.Margin().compute_score(last),
        "baal_uncertainty": 1 - heuristics.Certainty().compute_score(last),
        "baal_bald": heuristics.BALD().compute_score(last),
        "baal_epig": heuristics.EPIG().compute_score(last, np.moveaxis(targets, 1, 2)),
        "redux_bald_order": bald.indices,
        "redux_bald": bald.scores,
        "modal_entropy": _proba_entropy(mean),
        "modal_margin": _proba_margin(mean),
        "modal_uncertainty": _proba_uncertainty(mean),
        "modal_consensus_entropy": consensus_entropy(Consensus(p), None),
        "skactiveml_entropy": uncertainty_scores(mean, method="entropy"),
        "skactiveml_margin": uncertainty_scores(mean, method="margin_sampling"),
        "skactiveml_least_confident": uncertainty_scores(mean, method="least_confident"),
        "skactiveml_variation_ratio": variation_ratios(votes),
        "small_text_bald": _bald(p),
        "small_text_breaking_ties": [BreakingTies._best_versus_second_best(row) for row in mean],
    }


def batches(p, count):
    """BatchBALD of ``p [N, K, C]``, small enough to be exact."""
    redux = get_batchbald_batch(torch.from_numpy(p).log(), count, 100_000, dtype=torch.double)
    skactiveml = batch_bald(np.moveaxis(p, 1, 0), count, n_MC_samples=100_000, random_state=0)
    return {
        "redux_batch": redux.indices,
        "redux_batch_scores": redux.scores,
        "skactiveml_batch": np.nanargmax(skactiveml, axis=1),
    }


def geometry(data, count):
    """Picks by place, given our picks so far where ties or draws are in play."""
    x, done, p = data["x"], data["done"], data["x_p"]
    rows = np.concatenate([x, done])  # open items first: small-text mixes positions with row numbers otherwise
    answers = np.concatenate([np.full(len(x), np.nan), np.zeros(len(done))])
    core_set, _ = CoreSet(random_state=0).query(rows, answers, batch_size=count, return_utilities=True)
    clusters = {"labels": data["typiclust_clusters"]}
    typiclust = TypiClust(cluster_algo=GivenClusters, cluster_algo_dict=clusters, k=20, random_state=0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    picked, cover = [], []
    for pick in data["probcover_picks"]:
        covering = ProbCover(deltas=[float(data["probcover_radius"])], random_state=0)
        labelled = answers.copy()
        labelled[picked] = 0
        cover.append(covering.query(unit, labelled, return_utilities=True)[1][0, : len(x)])
        picked.append(pick)
    gradients = ((p - np.eye(p.shape[1])[p.argmax(axis=1)])[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    badge = [_d_2(gradients, [])]
    nearest = np.full(len(x), np.inf)
    for pick in data["badge_picks"]:
        nearest = _d_2(gradients, [pick], nearest)
        badge.append(nearest)
    return {
        "core_set": core_set,
        "small_text_core_set": greedy_coreset(
            rows, np.arange(len(x)), np.arange(len(x), len(rows)), count, distance_metric="euclidean"
        ),
        "typiclust": typiclust.query(rows, answers, batch_size=count),
        "probcover_degrees": cover,
        "badge_squared_distances": badge,
    }


def main(source, target):
    data = np.load(source)
    answers = {}
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        for kind in ("random", "digits"):
            scores = uncertainties(data[f"{kind}_p"], data[f"{kind}_p"][:30])
            answers |= {f"{kind}_{name}": value for name, value in scores.items()}
        answers |= batches(data["small_p"], int(data["batch"]))
        answers |= geometry(data, int(data["count"]))
    np.savez(target, **{name: np.asarray(value) for name, value in answers.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
