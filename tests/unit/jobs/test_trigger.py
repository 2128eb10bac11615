"""When a round is due: pure, with a clock that the test turns."""

import random

import pytest

from ml_backend.jobs.trigger import FIRST_WAIT, LONGEST_WAIT, MOST_WAITING, NextRound, Rule, Trigger


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def trigger(clock):
    return Trigger(clock, Rule(labels=10, seconds=60))


def test_nothing_changed_nothing_due(trigger, clock):
    clock.now += 1e6
    assert trigger.due() == []
    assert trigger.outlook(7) == NextRound()


def test_due_after_so_many_labels(trigger):
    for _ in range(9):
        trigger.changed(7, 1)
    assert trigger.due() == []
    assert trigger.outlook(7).labels_to_go == 1
    trigger.changed(7, 1)
    assert trigger.due() == [7]
    assert trigger.outlook(7).seconds_to_go == 0


def test_due_so_long_after_the_first_change_not_the_last(trigger, clock):
    trigger.changed(7, 1)
    for _ in range(5):
        clock.now += 11
        trigger.changed(7, 1)
    assert trigger.due() == []
    assert trigger.outlook(7).seconds_to_go == 5
    clock.now += 5
    assert trigger.due() == [7]


def test_new_tasks_start_the_clock_but_count_no_labels(trigger, clock):
    trigger.changed(7)
    assert trigger.outlook(7).labels_waiting == 0
    clock.now += 60
    assert trigger.due() == [7]


def test_what_a_look_finds_is_not_added_to_what_was_told(trigger):
    for _ in range(4):
        trigger.changed(7, 1)
    trigger.found(7, 6)
    assert trigger.outlook(7).labels_waiting == 6
    trigger.found(7, 2)
    assert trigger.outlook(7).labels_waiting == 6


def test_a_count_corrects_what_was_told(trigger, clock):
    trigger.counted(7, 5)  # nothing has changed: a count alone starts nothing
    assert trigger.outlook(7) == NextRound()
    trigger.changed(7, 24)  # a proof's answers, say
    trigger.counted(7, 0)
    assert trigger.due() == []
    assert (trigger.outlook(7).labels_waiting, trigger.outlook(7).labels_to_go) == (0, 10)
    clock.now += 60
    trigger.started(7, "job")
    trigger.changed(7, 3)
    trigger.counted(7, 9)  # some of them are in the round: nobody knows which
    assert trigger.outlook(7).labels_waiting == 3


def test_one_round_at_a_time_and_what_comes_meanwhile_waits(trigger, clock):
    trigger.changed(7, 10)
    trigger.started(7)
    trigger.changed(7, 25)
    clock.now += 1000
    assert trigger.due() == []
    assert trigger.running() == {7: ""}
    trigger.named(7, "job")
    assert trigger.running() == {7: "job"}
    assert trigger.outlook(7).labels_waiting == 25
    trigger.done(7)
    assert trigger.due() == [7]
    trigger.started(7, "next")
    trigger.done(7)
    assert trigger.due() == []
    assert trigger.outlook(7) == NextRound()


def test_nothing_to_do_after_all(trigger):
    trigger.changed(7, 10)
    trigger.done(7)
    assert trigger.outlook(7) == NextRound()


def test_failures_wait_5_10_20_seconds_up_to_10_minutes(trigger, clock):
    trigger.changed(7, 10)
    waits = []
    for _ in range(12):
        assert trigger.due() == [7]
        trigger.started(7, "job")
        trigger.failed(7, "disk full")
        assert trigger.due() == []
        waits.append(trigger.outlook(7).seconds_to_go)
        clock.now += waits[-1] - 0.001
        assert trigger.due() == []
        clock.now += 0.002
    assert waits[:4] == pytest.approx([FIRST_WAIT, 10, 20, 40])
    assert waits[-1] == pytest.approx(LONGEST_WAIT)
    assert trigger.outlook(7).labels_waiting == 10
    assert trigger.outlook(7).error == "disk full"
    trigger.started(7, "job")
    trigger.done(7)
    assert (trigger.outlook(7).failures, trigger.outlook(7).error) == (0, None)


def test_a_refused_round_is_no_failure_and_is_asked_for_again_after_a_short_wait(trigger, clock):
    trigger.changed(7, 3)
    clock.now += 60
    for _ in range(4):
        assert trigger.due() == [7]
        trigger.started(7, "job")
        trigger.changed(7, 1)
        trigger.refused(7)
        clock.now += FIRST_WAIT - 0.001
        assert trigger.due() == []
        clock.now += 0.002
    assert (trigger.outlook(7).failures, trigger.outlook(7).error) == (0, None)
    assert trigger.outlook(7).labels_waiting == 7
    trigger.started(7, "job")
    trigger.done(7)
    trigger.changed(7, 1)
    assert trigger.due() == []


def test_new_labels_do_not_shorten_the_wait_of_a_failure(trigger, clock):
    trigger.changed(7, 10)
    trigger.started(7, "job")
    trigger.failed(7, "no")
    trigger.changed(7, 100)
    assert trigger.due() == []
    clock.now += FIRST_WAIT
    assert trigger.due() == [7]
    assert trigger.outlook(7).labels_waiting == 110


def test_a_round_asked_for_by_hand_that_is_refused_is_asked_for_again_without_any_change(trigger, clock):
    trigger.started(7, "job", by_hand=True)
    trigger.refused(7)
    clock.now += FIRST_WAIT
    assert trigger.due() == [7]
    assert trigger.outlook(7).by_hand


def test_a_round_asked_for_by_hand_that_fails_is_tried_again_without_any_change(trigger, clock):
    trigger.started(7, "job", by_hand=True)
    trigger.failed(7, "no")
    clock.now += FIRST_WAIT
    assert trigger.due() == [7]
    assert trigger.outlook(7).by_hand
    trigger.started(7, "again")
    trigger.done(7)
    assert trigger.outlook(7) == NextRound()


def test_a_thousand_failures_overflow_nothing(trigger):
    for _ in range(2000):
        trigger.failed(7, "no")
    assert trigger.outlook(7).seconds_to_go == LONGEST_WAIT


def test_projects_do_not_share_anything_and_the_longest_waiting_comes_first(trigger, clock):
    trigger.changed(8, 10)
    clock.now += 1
    trigger.changed(7, 10)
    trigger.set_rule(9, Rule(labels=1000, seconds=1000))
    trigger.changed(9, 10)
    assert trigger.due() == [8, 7]
    trigger.failed(8, "no")
    assert trigger.due() == [7]
    trigger.forget(7)
    assert trigger.due() == []


def test_a_negative_count_takes_nothing_away(trigger):
    trigger.changed(7, 5)
    trigger.changed(7, -3)
    assert trigger.outlook(7).labels_waiting == 5


def test_a_flood_makes_no_more_rounds_than_the_rule_allows(trigger, clock):
    """10,000 events over 1,000 s, rounds of 3 s: never two at once, and none is lost."""
    generator, started, ends, handled = random.Random(0), 0, None, 0
    for _ in range(10_000):
        clock.now += 0.1
        trigger.changed(7, 1)
        if ends is not None and clock.now >= ends:
            if generator.random() < 0.2:
                trigger.failed(7, "no")
            else:
                handled += trigger._projects[7].taken[1]
                trigger.done(7)
            ends = None
        if trigger.due():
            assert ends is None
            trigger.started(7, "job")
            ends, started = clock.now + 3, started + 1
    waiting = trigger.outlook(7).labels_waiting + (trigger._projects[7].taken[1] if ends is not None else 0)
    assert handled + waiting == 10_000
    assert 100 < started <= 1000 / 3


def test_made_up_projects_are_bounded_and_push_no_known_one_out(trigger, clock):
    trigger.know(1)
    trigger.changed(2)
    for number in range(1000, 11_000):
        trigger.changed(number, labels=1)
    assert len(trigger.waiting()) == MOST_WAITING
    trigger.changed(1, labels=10)
    trigger.changed(2, labels=10)
    assert set(trigger.due()) == {1, 2}
