"""One round: read, fit, judge, score, rank, store, publish."""
