"""Loops that read, decide, act and record."""
