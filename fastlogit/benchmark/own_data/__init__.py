"""A user's own file as a data set: described first, then read, encoded, split and scaled."""

from fastlogit.benchmark.own_data.source import Source

__all__ = ["Source"]
