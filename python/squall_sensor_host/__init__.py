"""Runs one sensor of a pack in a process of its own."""
