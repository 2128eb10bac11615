"""A flood of webhook events while rounds run: no more rounds than the rule allows, and the server stays as it is."""

from support.flood import flood_with


def test_a_flood_starts_no_more_rounds_than_the_rule_allows(flooded):
    """2,500 events; ``make endurance`` makes it 10,000. 16 KiB an event, were each to leave something."""
    flood_with(flooded, 2_500, 40 * 2**20)
