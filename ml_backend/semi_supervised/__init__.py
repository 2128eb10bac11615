"""Learning from the pool: labels spread over a neighbour graph, and models that learn from the result."""
