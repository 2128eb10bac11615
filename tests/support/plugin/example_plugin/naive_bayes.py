"""Texts: multinomial naive Bayes over hashed words (McCallum & Nigam 1998). A model without torch's training.

It has no steps and no dropout: one training, and all passes are the same.
"""

import time

import numpy as np

from ml_backend.errors import ModelError
from ml_backend.models import checks
from ml_backend.models.base import TrainingReport, ValidationCurve
from ml_backend.models.texts import read_text
from ml_backend.records import no_progress

WIDTH = 1024


class NaiveBayes:
    name = "naive_bayes"
    object_tag = "Text"
    learns_features = False  # `embed` gives the counts, whatever the labels
    stochastic = False

    def __init__(self, labels):
        self.labels = checks.check_labels(self.name, labels)
        self._weights = None  # log P(word | class) [C, D]

    @classmethod
    def missing(cls):
        return None

    @classmethod
    def hyperparameters(cls):
        return {"smoothing": 0.5}

    @classmethod
    def read_item(cls, raw):
        return read_text(raw)

    def fit(self, items, targets, *, seed, hyperparameters=None, validation=None, progress=no_progress):
        from sklearn.naive_bayes import MultinomialNB

        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        y = checks.check_training_data(self.name, items, targets, self.labels)
        classes = np.arange(len(self.labels))
        shares = y if y.ndim == 2 else (y[:, None] == classes).astype(np.float32)  # [N, C]
        rows, columns = shares.nonzero()
        fitted = MultinomialNB(alpha=max(chosen["smoothing"], 1e-6), fit_prior=False)
        fitted.partial_fit(self.embed_any(items)[rows], columns, classes, sample_weight=shares[rows, columns])
        self._weights = fitted.feature_log_prob_.astype(np.float32)
        curve = None
        if validation is not None and len(validation.items):
            loss = self._loss(validation.items, validation.targets)
            curve = ValidationCurve(len(validation.items), epochs=(1,), loss=(loss,))
        progress(1, 1)
        loss, used = self._loss(items, shares.argmax(axis=1)), chosen | {"seed": seed}
        return TrainingReport(len(items), 1, time.perf_counter() - started, (loss,), used, curve)

    def _loss(self, items, targets):
        right = self.probabilities(items)[np.arange(len(items)), 0, targets]
        return float(-np.log(np.maximum(right, 1e-12)).mean())

    def _fitted(self):
        if self._weights is None:
            raise ModelError(f"{self.name} was neither trained nor loaded; call fit or from_state first")
        return self._weights

    def probabilities(self, items, *, samples=1, seed=0):
        weights = self._fitted()
        checks.check_samples(self.name, samples)
        logits = self.embed(items) @ weights.T
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return np.repeat(p[:, None], samples, axis=1).astype(np.float32)

    def embed(self, items):
        self._fitted()
        return self.embed_any(items)

    @staticmethod
    def embed_any(items):
        from sklearn.feature_extraction.text import HashingVectorizer

        words = HashingVectorizer(n_features=WIDTH, alternate_sign=False, norm=None, dtype=np.float32)
        return words.transform(items).toarray() if len(items) else np.zeros((0, WIDTH), np.float32)

    def sharpen(self, factor):
        self._weights = self._fitted() * np.float32(factor)

    def state(self):
        import torch

        return {"weights": torch.tensor(self._fitted())}, {}

    @classmethod
    def from_state(cls, labels, weights, config):
        model = cls(labels)
        found = weights.get("weights")
        if found is None or found.shape != (len(model.labels), WIDTH):
            raise ModelError(f"{cls.name}: the stored weights do not fit {len(labels)} labels; train again")
        model._weights = found.numpy().copy()
        return model
