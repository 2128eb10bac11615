"""Files that people bring: read into new tasks of Label Studio, with what cannot be kept told."""
