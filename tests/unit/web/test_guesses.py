"""Wrong passwords slow an address down for a while, and no other."""

from ml_backend.web.guesses import MOST_WRONG, SPAN, Guesses


def test_an_address_waits_after_some_wrong_passwords_and_is_heard_again():
    now = [1_000.0]
    guesses = Guesses(clock=lambda: now[0])
    for _ in range(MOST_WRONG - 1):
        guesses.wrong("10.0.0.7")
    assert guesses.wait("10.0.0.7") == 0
    guesses.wrong("10.0.0.7")
    now[0] += SPAN - 1
    assert guesses.wait("10.0.0.7") == 1
    assert guesses.wait("10.0.0.8") == 0
    now[0] += 2
    assert guesses.wait("10.0.0.7") == 0


def test_a_network_of_version_6_is_one_address():
    guesses = Guesses(clock=lambda: 0.0)
    for host in range(MOST_WRONG):
        guesses.wrong(f"2001:db8::{host}")
    assert guesses.wait("2001:db8::ffff") == SPAN
    assert guesses.wait("2001:db8:0:1::1") == 0
