"""Fixtures of tests with a browser."""

from support.installation import install
from support.pages import browser, data, page, signed_in
from support.scripts import run

__all__ = ["browser", "data", "install", "page", "run", "signed_in"]
