"""All that is said to Label Studio, and all that is read from it."""
