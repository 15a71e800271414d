"""Comparing implementations: which cases, which contenders, measured how, stored where."""
