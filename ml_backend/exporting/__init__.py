"""Annotations to take away: each with what it was asked under, in the forms that other tools read."""
