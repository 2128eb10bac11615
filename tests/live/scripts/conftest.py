"""Fixtures of the scripts' tests."""

from support.scripts import run

__all__ = ["run"]
