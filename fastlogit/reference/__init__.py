"""The plain NumPy side: the same names and meanings as :mod:`fastlogit.kernels`, vectorised.

It is the oracle that the kernels are tested against, and the baseline that their speed is quoted
against, so it is written as one would write fast NumPy: matrix products through BLAS, everything
else in place.
"""
