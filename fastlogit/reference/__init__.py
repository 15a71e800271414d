"""The plain NumPy side: the same names and meanings as :mod:`fastlogit.kernels`, vectorised.

The oracle that the kernels are tested against, and the baseline of their speed; so it is written as
one would write fast NumPy: matrix products through BLAS, everything else in place.
"""
