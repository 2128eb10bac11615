"""Reads files that people bring into new tasks, and reports whatever cannot be kept."""
