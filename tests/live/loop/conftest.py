"""Fixtures of the rounds' tests."""

from support.looped import live, trained

__all__ = ["live", "trained"]
