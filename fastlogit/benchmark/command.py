"""The command that a run was made with, as words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

__all__ = ["option", "recorded"]


def option(words: Sequence[str], name: str) -> str | None:
    """Give the value of an option, the last if there are several and None if there is none."""
    value = None
    for word, following in zip_longest(words, words[1:]):
        if word == name:
            value = following
        elif word.startswith(f"{name}="):
            value = word.partition("=")[2]
    return value


def recorded(words: Sequence[str]) -> list[str]:
    """Give a command as run.json keeps it: of the user's own file the name, not where it lies."""
    path = option(words, "--data")
    if path is None:
        return list(words)
    name = Path(path).name
    short = {path: name, f"--data={path}": f"--data={name}"}
    return [short.get(word, word) for word in words]
