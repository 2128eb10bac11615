"""Our optimizers beside torch's classes: to the last bit the same weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ml_backend.models.optimizers import AdamW, Momentum, Optimizer

RATES = (0.4, 0.2, 0.1, 0.3, 0.05)


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3))


def ours_with_momentum(trained: nn.Sequential) -> Optimizer:
    return Momentum([([trained[0].weight], 0.01), ([trained[0].bias, *trained[2].parameters()], 0.0)], 1.0)


def torchs_with_momentum(trained: nn.Sequential) -> Optimizer:
    decayed = {"params": [trained[0].weight], "weight_decay": 0.01}
    free = {"params": [trained[0].bias, *trained[2].parameters()], "weight_decay": 0.0}
    return torch.optim.SGD([decayed, free], lr=1.0, momentum=0.9, nesterov=True)


def trained_by(make: Callable[[nn.Sequential], Optimizer]) -> dict[str, torch.Tensor]:
    """Weights after some steps at changing rates; in one of them a layer has no gradient."""
    trained, generator = network(), torch.Generator().manual_seed(1)
    optimizer = make(trained)
    for step, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = trained(torch.rand(6, 7, generator=generator)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        if step == 2:
            trained[0].weight.grad = None
        optimizer.step()
    return trained.state_dict()


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (ours_with_momentum, torchs_with_momentum),
        (
            lambda trained: AdamW(trained.parameters(), 1.0, decay=0.05),
            lambda trained: torch.optim.AdamW(trained.parameters(), 1.0, weight_decay=0.05, fused=True),
        ),
    ],
    ids=["momentum", "adamw"],
)
def test_weights_are_those_of_torchs_classes(
    ours: Callable[[nn.Sequential], Optimizer], torchs: Callable[[nn.Sequential], Optimizer]
) -> None:
    found, wanted = trained_by(ours), trained_by(torchs)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert not torch.equal(found["0.weight"], network()[0].weight)


def test_gradients_are_forgotten_or_zeroed() -> None:
    trained = network()
    optimizer = AdamW(trained.parameters(), 0.1, decay=0.0)
    trained(torch.ones(1, 7)).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert all(torch.equal(weight.grad, torch.zeros_like(weight)) for weight in trained.parameters())
    optimizer.zero_grad()
    assert all(weight.grad is None for weight in trained.parameters())
