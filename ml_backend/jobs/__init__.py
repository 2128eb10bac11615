"""When rounds start, and where they run."""
