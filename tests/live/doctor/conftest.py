"""Fixtures of the doctor's tests."""

from support.doctored import installation, run

__all__ = ["installation", "run"]
