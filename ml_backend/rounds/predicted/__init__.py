"""Rounds that learn nothing: another model's predictions order the tasks, in any labeling config."""
