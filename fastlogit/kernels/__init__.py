"""The jitted side: four models, and the primitives that they are composed of.

The models, one file each, with the derivation of every gradient beside the code that computes it:
:mod:`logistic`, :mod:`softmax`, :mod:`mlp_logistic`, :mod:`mlp_softmax`.

The primitives: :mod:`linear_maps` (matrix products on the register tiles of
:mod:`tiles`, which :mod:`simd` emits), :mod:`activations` and :mod:`heads` (both on
:mod:`elementary`'s exp and log), :mod:`optimizers`, and the rows' orders of :mod:`shuffle`.
Where X is not an array, :mod:`per_model` compiles a model's text over other maps. Sparse rows are
a :mod:`csr`, whose maps are :mod:`sparse_maps`, on the :mod:`sparse_rows` that LLVM does not
vectorise. At a batch of one, :mod:`row_descent`, they are :mod:`row_maps`, on the :mod:`row_steps`
that update and multiply in one pass; logistic regression has a loop of its own in
:mod:`single_rows` (on :mod:`rows`).

:mod:`blocks` works through a batch's rows, and :mod:`epoch` strings all of it into the entry points
that Python calls, one or several threads of it, which meet at a :mod:`barrier`. More of them are
:mod:`sparse_descent`, for steps that cost no more than their non-zeros, and for the solvers over
all rows :mod:`curvature`, :mod:`hessian_product` and :mod:`coordinate_descent`. :mod:`jit` says
what is inlined and what is an entry point, :mod:`linking` what is compiled once and called by name;
both keep what they compile in the :mod:`cache`.

Nothing in here imports anything of the package outside this folder.
"""
