"""Fixtures of the long tests."""

from support.flood import flooded
from support.installation import install
from support.killed_project import killed
from support.pages import browser, page, signed_in
from support.scripts import run

__all__ = ["browser", "flooded", "install", "killed", "page", "run", "signed_in"]
