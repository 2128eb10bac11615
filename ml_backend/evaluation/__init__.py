"""How good a model is, how sure people are, and what more labels would bring."""
