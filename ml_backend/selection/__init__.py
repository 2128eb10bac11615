"""From a pool and a model to an ordered queue."""
