"""Memory of failures, time for many fetches, and how many there are at once: each with a clock of its own."""

import threading

import pytest

from ml_backend.fetching.budget import Budget
from ml_backend.fetching.failures import MOST_KEPT, SILENCES, FailureMemory
from ml_backend.fetching.gate import Gate


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_failed_url_is_asked_again_after_its_time():
    clock = Clock()
    memory = FailureMemory(clock, 600)
    memory.failed("http://a/1", "a", "gone", silent=False)
    assert memory.known("http://a/1", "a") == "gone; asked again in 10 min at the earliest"
    assert memory.known("http://a/2", "a") is None
    clock.now += 600
    assert memory.known("http://a/1", "a") is None


def test_a_host_that_stays_silent_is_left_alone():
    clock = Clock()
    memory = FailureMemory(clock, 600)
    for number in range(SILENCES):
        assert memory.known("http://a/new", "a") is None
        memory.failed(f"http://a/{number}", "a", "silence", silent=True)
    assert "a did not answer" in memory.known("http://a/new", "a")
    assert memory.known("http://b/new", "b") is None
    clock.now += 600
    assert memory.known("http://a/new", "a") is None


@pytest.mark.parametrize("answer", ["content", "refusal"])
def test_an_answer_between_silences_counts(answer):
    memory = FailureMemory(Clock())
    for number in range(3 * SILENCES):
        memory.failed(f"http://a/{number}", "a", "silence", silent=True)
        if answer == "content":
            memory.answered("a")
        else:
            memory.failed(f"http://a/r{number}", "a", "404", silent=False)
    assert memory.known("http://a/new", "a") is None


def test_only_so_many_failures_are_kept():
    memory = FailureMemory(Clock())
    for number in range(MOST_KEPT + 5):
        memory.failed(f"http://h{number}/", f"h{number}", "no", silent=True)
    assert memory.known("http://h4/", "h4") is None
    assert memory.known("http://h5/", "h5") is not None
    assert len(memory._silent) == len(memory._failed) == MOST_KEPT


def test_a_budget_counts_while_something_is_under_way():
    clock = Clock()
    budget = Budget(10, clock=clock)
    clock.now += 100
    with budget.spend():
        clock.now += 2
        with budget.spend():  # two at once cost no more than one
            clock.now += 3
        assert budget.left() == 5
    clock.now += 100
    assert budget.left() == 5
    with budget.spend():
        clock.now += 6
        assert budget.is_over()
    assert budget.is_over()
    assert "the 10 s that one round may spend" in budget.message("http://a/1")


def test_the_gate_lets_so_many_in_and_fewer_to_one_host():
    gate = Gate(3, 2)
    with gate.enter("a", 0) as first, gate.enter("a", 0) as second, gate.enter("a", 0) as third:
        assert (first, second, third) == (True, True, False)
        with gate.enter("b", 0) as other, gate.enter("c", 0) as full:
            assert (other, full) == (True, False)
    with gate.enter("a", 0) as free:
        assert free
    assert not gate._inside


def test_who_waits_gets_the_place_that_becomes_free():
    gate, entered = Gate(1, 1), threading.Event()

    def wait():
        with gate.enter("b", float("inf")) as inside:
            if inside:
                entered.set()

    with gate.enter("a", 0):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()
