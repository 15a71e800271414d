"""The jitted side: four models, and the primitives that they are composed of.

The models, one file each, with the derivation of every gradient beside the code that computes it:
:mod:`logistic`, :mod:`softmax`, :mod:`mlp_logistic`, :mod:`mlp_softmax`.

The primitives: :mod:`linear_maps` (matrix products on the register tiles of
:mod:`tiles`, which :mod:`simd` emits), :mod:`activations` and :mod:`heads` (both on
:mod:`elementary`'s exp and log), :mod:`optimizers`.
:mod:`epoch` strings them into the entry points that Python calls, one or several threads of it,
which meet at a :mod:`barrier`; :mod:`jit` compiles and caches.

Nothing in here imports anything of the package outside this folder.
"""
