"""Minimisers of an objective over all rows: they know no estimator."""
