"""The jitted code: the four models, and what they are composed of.

Each model is one file, with the derivation of its gradient beside the code that computes it:
:mod:`logistic`, :mod:`softmax`, :mod:`mlp_logistic` and :mod:`mlp_softmax`.

``layers``
    What a layer computes, forward and backward: products of dense and of sparse rows, activations,
    and the output losses, on polynomials for exp and logarithms. ``dispatch`` chooses by type.
``training``
    The epoch that Python calls, its batches in blocks of rows, the optimizers, plain gradient
    descent with one row per step and over sparse rows, and the orders of the rows.
``full_batch``
    Second derivatives over all rows for Newton's methods, and coordinate descent.
``codegen``
    How it is compiled: SIMD vectors and register tiles, functions linked by name, the disk cache.

Nothing in here imports anything of the package outside this folder, and only ``codegen`` names
internals of the compiler.
"""
