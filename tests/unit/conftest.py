"""Fixtures of unit tests."""

from support.kept_features import features_of_a_file, features_of_a_test

__all__ = ["features_of_a_file", "features_of_a_test"]
