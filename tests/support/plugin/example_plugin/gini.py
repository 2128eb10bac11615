"""Gini impurity of the model's probabilities (Breiman et al. 1984)."""

from ml_backend.strategies.base import Strategy, needs, probabilities_of


def gini_impurity(inputs):
    p = probabilities_of(inputs).mean(axis=1)
    return (1 - (p**2).sum(axis=1)) / (1 - 1 / p.shape[1])


GINI = Strategy(
    when="items that two draws from the model would label differently",
    equation="`(1 - Σ p²) / (1 - 1 / C)`",
    source="Breiman et al. 1984",
    cost="O(N C)",
    needs=needs("probabilities"),
    score=gini_impurity,
    itemwise=True,
)
