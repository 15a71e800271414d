"""Data that need not fit in memory: files, arrays and Arrow streams as partitions of rows."""

from fastlogit.sources.base import Labels, Partition, Source
from fastlogit.sources.scanning import scan

__all__ = ["Labels", "Partition", "Source", "scan"]
