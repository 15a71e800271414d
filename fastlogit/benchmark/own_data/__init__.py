"""A user's own file as a data set.

`describe` reads it once and says what it holds or why it cannot be used; a case carries the
description, and `load` gives the rows of it, encoded, divided and scaled.
"""

from fastlogit.benchmark.own_data.describe import describe
from fastlogit.benchmark.own_data.source import Source, facts, notes
from fastlogit.benchmark.own_data.split import Parts, load

__all__ = ["Parts", "Source", "describe", "facts", "load", "notes"]
