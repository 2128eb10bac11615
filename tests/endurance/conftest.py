"""Fixtures of the long tests."""

from support.flood import flooded
from support.installation import install
from support.killed_project import killed

__all__ = ["flooded", "install", "killed"]
