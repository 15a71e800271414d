"""Comparing implementations: which cases, which implementations, measured how, stored where."""
