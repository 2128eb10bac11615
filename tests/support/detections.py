"""Detections whose errors are known."""

from bench.detections import CONFIG, box, simulated

__all__ = ["CONFIG", "box", "simulated"]
