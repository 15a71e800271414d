"""The jitted code: four models, and what they are composed of.

Each model is one file, with the derivation of its gradient beside the code that computes it:
:mod:`logistic`, :mod:`softmax`, :mod:`mlp_logistic` and :mod:`mlp_softmax`.

``layers``
    What a layer computes, forward and backward: products of dense rows, of sparse rows and of a
    single row, activations, and the output losses, on polynomials for exp and logarithms.
``training``
    The epoch that Python calls, its batches in blocks of rows, the optimizers, plain gradient
    descent by single rows and by sparse rows, and the orders of the rows.
``full_batch``
    Second derivatives over all rows for Newton's methods, and coordinate descent.
``codegen``
    How it is compiled: SIMD vectors and register tiles, what is linked by name, the disk cache.

Nothing in here imports anything of the package outside this folder, and only ``codegen`` names
internals of the compiler.
"""
