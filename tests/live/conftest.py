"""Fixtures of tests with servers."""

from support.disturbed_rounds import live
from support.flood import flooded
from support.installation import install
from support.killed_project import killed
from support.pages import data
from support.scripts import run
from support.simulations import csv_file, topics

__all__ = ["csv_file", "data", "flooded", "install", "killed", "live", "run", "topics"]
