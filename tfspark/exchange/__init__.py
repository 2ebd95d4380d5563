"""Rows exchanged between tasks through files: hashes, slices, values that are there twice."""
