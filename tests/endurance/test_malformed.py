"""Ten thousand malformed requests: no answer of 5xx, no traceback, memory flat within 50 MB."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings
from support.attacks import Attack, attack
from support.malformed import Malformed, check_answer, malformed

__all__ = ["attack"]
EXAMPLES = 10_000
MEGABYTE = 1024 * 1024


def test_ten_thousand_malformed_requests(attack: Attack) -> None:
    server = attack(LOG_LEVEL="WARNING")
    statuses: Counter[int] = Counter()

    def send(count: int) -> None:
        @settings(
            max_examples=count,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(request=malformed)
        def all_of_them(request: Malformed) -> None:
            statuses[check_answer(server, request)] += 1

        all_of_them()

    send(1000)  # what is loaded with the first requests of each kind
    before = server.memory()
    send(EXAMPLES)
    assert sum(statuses.values()) >= EXAMPLES
    assert server.memory() - before < 50 * MEGABYTE
    assert "Traceback" not in server.log
    assert server.is_healthy()
    print(dict(statuses), f"{(server.memory() - before) / MEGABYTE:.1f} MB")
