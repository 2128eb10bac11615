"""Embeddings of texts and images that need no labels, and the features that models start from."""
