"""Fixtures of tests with a browser."""

from support.installation import install
from support.pages import browser, data, page

__all__ = ["browser", "data", "install", "page"]
