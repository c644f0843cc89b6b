"""Nouns: frozen values that the rest of Levqor talks about."""
