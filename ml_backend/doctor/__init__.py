"""Checks of an installation, each with its remedy, and the proof that the order holds."""
