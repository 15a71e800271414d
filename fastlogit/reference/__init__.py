"""The plain NumPy side: the same names as :mod:`fastlogit.kernels`, in fast vectorised form.

The oracle that the kernels are tested against, and the baseline of their speed.
"""
