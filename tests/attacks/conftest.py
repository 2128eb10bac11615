"""Attacks on a real server."""

from support.attacks import attack

__all__ = ["attack"]
