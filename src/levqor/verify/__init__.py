"""Verification: typed checks of an installation that read the answers, not only the status (spec V)."""
