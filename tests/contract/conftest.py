"""Fixtures of tests with whole trainings."""

from support.kept_features import features_of_a_file, features_of_a_test
from support.simulations import csv_file, topics

__all__ = ["csv_file", "features_of_a_file", "features_of_a_test", "topics"]
