"""A strategy, a model and an encoder that a package of its own adds."""
