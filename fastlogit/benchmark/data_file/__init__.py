"""A user's own file as a data set: `describe` checks it, `load` gives its rows as numbers."""

from fastlogit.benchmark.data_file.describe import describe
from fastlogit.benchmark.data_file.description import DataFile, ReadOptions, facts, notes
from fastlogit.benchmark.data_file.loading import frames, load

__all__ = ["DataFile", "ReadOptions", "describe", "facts", "frames", "load", "notes"]
