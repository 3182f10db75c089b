"""Parallel callers get the answers that they would get one after the other."""
