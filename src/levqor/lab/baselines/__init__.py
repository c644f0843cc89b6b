"""Simplified re-implementations of public scaling rules, from their public documentation; not their code."""
