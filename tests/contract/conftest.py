"""Fixtures of tests with whole trainings."""

from support.simulations import csv_file, topics

__all__ = ["csv_file", "topics"]
