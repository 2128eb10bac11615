"""Query strategies: pure functions over arrays, and their registry."""
