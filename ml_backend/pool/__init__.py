"""A pool outside Label Studio: tables or pictures on a disk or in a bucket, of which Label Studio holds a few."""
