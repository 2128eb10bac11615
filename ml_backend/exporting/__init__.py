"""Exports of annotations, each with how its task was chosen, in forms that other tools read."""
