"""JAX: all epochs in one compiled program, a scan over the batches within a loop over the epochs.

Gradients come from `jax.value_and_grad`. The first epoch and the last are arguments, so that one
program trains through as well as from point to point of a curve, and as fast as with a scan over
the epochs. A Python loop over compiled epochs is slower, 1.0x to 1.6x on digits and 1.1x to 11x on
iris at batches of 1 to 256 rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from fastlogit.benchmark.contenders.base import ClosedContender
from fastlogit.benchmark.contenders.rules import ADAM, adam_rates
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.models import MODELS

__all__ = ["JaxContender"]

_COMPILED = "/jax/core/compile/backend_compile_duration"


class JaxContender(ClosedContender):
    """One jitted program for the whole training."""

    name: ClassVar[str] = "jax"
    place: ClassVar[int] = 20
    distribution: ClassVar[str] = "jax"
    module: ClassVar[str] = "jax"
    install: ClassVar[str] = 'pip install "fastlogit[peers]"'

    def prepare(self, problem: Problem) -> None:
        """Put everything on the device, the order cut into full batches and a last short one."""
        case = problem.case
        _hold_threads(case.threads)
        _compilations()  # counts from here on
        super().prepare(problem)
        epochs, n = problem.order.shape
        size = min(case.batch_size, n)
        steps, full = -(-n // size), n // size
        order = problem.order.astype(np.int32)
        moments = 2 if case.solver == "adam" else 0
        zeros = tuple(np.zeros_like(array) for array in problem.params)
        self._start = (problem.params, (zeros,) * moments), np.zeros(epochs, case.dtype)
        with self._precision():
            self._fixed = _on_device(
                (
                    problem.X,
                    problem.y.astype(np.int32),
                    order[:, : full * size].reshape(epochs, full, size),
                    order[:, full * size :],
                    adam_rates(case.learning_rate, epochs * steps)
                    .reshape(epochs, steps)
                    .astype(case.dtype),
                )
            )

    def first_run(self) -> None:
        """Compile the program for these shapes; it runs for the first time in `run`."""
        import jax

        case = self.problem.case
        train = partial(_train, MODELS[case.model].binary, case.solver, case.learning_rate)
        self.rewind()
        with self._precision():
            compiled = jax.jit(train, donate_argnums=0)
            span = (np.int32(0), np.int32(0))
            self._train: Callable[..., Any] = compiled.lower(
                self._reached, *span, *self._fixed
            ).compile()

    def rewind(self) -> None:
        """Put the initial state on the device anew: the program takes its buffers over."""
        self._done = 0
        with self._precision():
            self._reached = _on_device(self._start)

    def advance(self, epochs: int) -> None:
        """Train, and wait for the end of it."""
        import jax

        first, self._done = self._done, self._done + epochs
        span = (np.int32(first), np.int32(self._done))
        with self._precision():
            self._reached = jax.block_until_ready(self._train(self._reached, *span, *self._fixed))

    def result(self) -> Outcome:
        """Copy the parameters back."""
        (params, _), losses = self._reached
        curve = np.array(losses, np.float64)[: self._done]
        return Outcome(tuple(map(np.array, params)), tuple(curve.tolist()))

    def compilations(self) -> int:
        """Count what XLA has compiled since the first contender of this kind was prepared."""
        return len(_compilations())

    def _precision(self) -> AbstractContextManager[Any]:
        """Allow float64 for this cell alone, whatever the process's setting is."""
        import jax

        # jax.experimental's is deprecated where there is another.
        owner: Any = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")
        context: AbstractContextManager[Any] = owner.enable_x64(
            self.problem.case.dtype == "float64"
        )
        return context


@cache
def _compilations() -> list[str]:
    """Return a list that grows by one with each compilation."""
    import jax.monitoring

    compiled: list[str] = []

    def note(event: str, _seconds: float, **_: Any) -> None:
        if event == _COMPILED:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    return compiled


_held: list[int] = []


def _hold_threads(threads: int) -> None:
    """Give XLA's CPU client a pool of so many threads.

    It reads NPROC when it is made, and nothing later changes it. In jax 0.10.2 neither
    ``--xla_cpu_multi_thread_eigen=false`` nor ``intra_op_parallelism_threads=1`` in XLA_FLAGS has
    an effect: on two cores a product is still shared by four threads of two pools.
    """
    if _held == [threads]:
        return
    before = {name: os.environ.get(name) for name in ("NPROC", "PJRT_NPROC")}
    os.environ |= dict.fromkeys(before, str(threads))
    try:
        import jax
        from jax.extend.backend import clear_backends

        jax.config.update("jax_platforms", "cpu")
        clear_backends()
        jax.devices()
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
    _held[:] = [threads]


def _on_device(arrays: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.tree.map(partial(jnp.array, copy=True), arrays)


def _train(
    binary: bool,
    solver: str,
    learning_rate: float,
    reached: Any,
    first: Any,
    end: Any,
    X: Any,
    y: Any,
    batches: Any,
    last: Any,
    rates: Any,
) -> Any:
    """Train through the epochs from first up to end; return the state and the mean loss of each.

    batches (E, full, B) and last (E, rest) are row indices, rates (E, steps) Adam's step sizes.
    """
    import jax
    import jax.numpy as jnp

    full, rest, n = batches.shape[1], last.shape[1], y.size
    value_and_grad = jax.value_and_grad(partial(_loss, binary))
    update = partial(_adam, jnp) if solver == "adam" else partial(_sgd, learning_rate)

    def step(state: Any, rows_and_rate: Any) -> Any:
        rows, rate = rows_and_rate
        loss, grads = value_and_grad(state[0], X[rows], y[rows])
        return update(jax.tree.map, state, grads, rate), loss * rows.size

    def epoch(index: Any, reached: Any) -> Any:
        state, losses = reached
        state, sums = jax.lax.scan(step, state, (batches[index], rates[index, :full]))
        total = sums.sum()
        if rest:
            state, loss = step(state, (last[index], rates[index, -1]))
            total += loss
        return state, losses.at[index].set(total / n)

    return jax.lax.fori_loop(first, end, epoch, reached)


def _loss(binary: bool, params: Any, X: Any, y: Any) -> Any:
    """Return the mean loss of a batch: X (B, D), y (B,)."""
    import jax
    import jax.numpy as jnp

    *hidden, W, b = params
    A = jax.nn.sigmoid(X @ hidden[0] + hidden[1]) if hidden else X
    logits = A @ W + b
    if binary:
        z = logits[:, 0]
        return jnp.mean(jax.nn.softplus(z) - y * z)
    # A product with the one-hot labels: the gradient of picking is a scatter, which is slow.
    picked = jnp.sum(logits * jax.nn.one_hot(y, W.shape[1], dtype=W.dtype), axis=1)
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)


def _sgd(learning_rate: float, each: Any, state: Any, grads: Any, _rate: Any) -> Any:
    params, moments = state
    return each(lambda p, g: p - learning_rate * g, params, grads), moments


def _adam(jnp: Any, each: Any, state: Any, grads: Any, rate: Any) -> Any:
    params, (first, second) = state
    first = each(lambda m, g: ADAM.beta_1 * m + (1 - ADAM.beta_1) * g, first, grads)
    second = each(lambda v, g: ADAM.beta_2 * v + (1 - ADAM.beta_2) * g * g, second, grads)
    params = each(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) + ADAM.epsilon), params, first, second
    )
    return params, (first, second)
