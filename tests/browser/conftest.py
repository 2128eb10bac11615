"""Fixtures of tests with a browser."""

from support.installation import install
from support.pages import browser, data, page
from support.scripts import run

__all__ = ["browser", "data", "install", "page", "run"]
