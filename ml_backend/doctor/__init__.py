"""Checks of one installation, each with what mends it; the proof of the order."""
