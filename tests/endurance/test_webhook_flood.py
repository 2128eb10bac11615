"""Ten thousand webhook events."""

import pytest
from support.flood import flood_with


@pytest.mark.timeout(1800)
def test_a_flood_starts_no_more_rounds_than_the_rule_allows(flooded):
    """8 KiB an event, were each to leave something."""
    flood_with(flooded, 10_000, 80 * 2**20)
