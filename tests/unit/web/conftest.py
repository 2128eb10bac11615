"""Fixtures of the server's tests."""

from support.requested import client, trainer

__all__ = ["client", "trainer"]
