"""JAX: all epochs in one compiled program, a scan over the batches within a loop over the epochs.

Gradients come from `jax.value_and_grad`. The first epoch and the last are arguments, so that one
program trains through as well as from point to point of a curve, and as fast as with a scan over
the epochs. A Python loop over compiled epochs is slower, 1.0x to 1.6x on digits and 1.1x to 11x on
iris at batches of 1 to 256 rows.
"""

import os
from functools import cache, lru_cache, partial
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from fastlogit.benchmark.implementations.base import SameSteps
from fastlogit.benchmark.implementations.rules import ADAM, adam_rates
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.models import MODELS

# By their names in jax.nn.
_ACTIVATIONS = {"logistic": "sigmoid", "relu": "relu", "tanh": "tanh", "identity": "identity"}
_COMPILED = "/jax/core/compile/backend_compile_duration"


class JaxImplementation(SameSteps):
    """One jitted program for the whole training."""

    name = "jax"
    rank = 20
    distribution = module = "jax"
    covers: ClassVar[dict[str, tuple[str, ...]]] = SameSteps.covers | {
        "activation": tuple(_ACTIVATIONS)
    }

    def prepare(self, problem: Problem) -> None:
        """Put everything on the device, the order cut into full batches and a last short one."""
        case = problem.case
        _hold_threads(case.threads)
        _events()  # from here on
        super().prepare(problem)
        epochs, n = problem.order.shape
        size = min(case.batch_size, n)
        steps, full = -(-n // size), n // size
        order = problem.order.astype(np.int32)
        moments = 2 if case.solver == "adam" else 0
        zeros = tuple(np.zeros_like(array) for array in problem.params)
        self._start = (problem.params, (zeros,) * moments), np.zeros(epochs, case.dtype)
        with self._precision():
            rates = adam_rates(case.learning_rate, epochs * steps).reshape(epochs, steps)
            batches = order[:, : full * size].reshape(epochs, full, size), order[:, full * size :]
            arrays = problem.X, problem.y.astype(np.int32), *batches, rates.astype(case.dtype)
            self._fixed = _on_device(arrays)

    def first_call(self) -> None:
        """Compile the program for these shapes; it runs for the first time in `run`."""
        import jax

        case = self.problem.case
        activation = getattr(jax.nn, _ACTIVATIONS[case.activation])
        loss = partial(_loss, MODELS[case.model].binary, activation)
        train = partial(_train, loss, case.solver, case.learning_rate)
        self.rewind()
        with self._precision():
            lowered = jax.jit(train, donate_argnums=0).lower(
                self._reached, np.int32(0), np.int32(0), *self._fixed
            )
            self._train = lowered.compile()

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
        """Count what XLA has compiled since the first implementation of this kind was prepared."""
        return _events().count(_COMPILED)

    def _precision(self) -> Any:
        """Allow float64 for this case alone, whatever the process's setting is."""
        import jax

        # jax.experimental's is deprecated where there is another.
        owner: Any = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")
        return owner.enable_x64(self.problem.case.dtype == "float64")


@cache
def _events() -> list[str]:
    """Return a list that grows by one with each event whose duration JAX reports."""
    from jax import monitoring

    events: list[str] = []
    monitoring.register_event_duration_secs_listener(lambda event, *_, **__: events.append(event))
    return events


@lru_cache(maxsize=1)  # does nothing where the last call has asked for as many
def _hold_threads(threads: int) -> None:
    """Hold XLA's CPU client to a pool of so many threads.

    It reads NPROC when it is made, and nothing later changes it. In jax 0.10.2 neither
    ``--xla_cpu_multi_thread_eigen=false`` nor ``intra_op_parallelism_threads=1`` in XLA_FLAGS has
    an effect: on two cores a product is still shared by four threads of two pools.
    """
    os.environ |= dict.fromkeys(("NPROC", "PJRT_NPROC"), str(threads))
    import jax
    from jax.extend.backend import clear_backends

    jax.config.update("jax_platforms", "cpu")
    clear_backends()
    jax.devices()


def _on_device(arrays: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.tree.map(partial(jnp.array, copy=True), arrays)


def _train(
    loss: Any, solver: str, learning_rate: float, reached: Any, first: Any, end: Any, X: Any,
    y: Any, batches: Any, last: Any, rates: Any,
) -> Any:  # fmt: skip
    """Train through the epochs from first up to end; return the state and the mean loss of each.

    batches (E, full, B) and last (E, rest) are row indices, rates (E, steps) Adam's step sizes.
    """
    import jax
    import jax.numpy as jnp

    full, rest, n = batches.shape[1], last.shape[1], y.size
    value_and_grad = jax.value_and_grad(loss)
    update = partial(_adam, jnp) if solver == "adam" else partial(_sgd, learning_rate)

    def step(state: Any, rows_and_rate: Any) -> Any:
        rows, rate = rows_and_rate
        mean, grads = value_and_grad(state[0], X[rows], y[rows])
        return update(jax.tree.map, state, grads, rate), mean * rows.size

    def epoch(index: Any, reached: Any) -> Any:
        state, losses = reached
        state, sums = jax.lax.scan(step, state, (batches[index], rates[index, :full]))
        total = sums.sum()
        if rest:
            state, of_rest = step(state, (last[index], rates[index, -1]))
            total += of_rest
        return state, losses.at[index].set(total / n)

    return jax.lax.fori_loop(first, end, epoch, reached)


def _loss(binary: bool, activation: Any, params: Any, X: Any, y: Any) -> Any:
    """Return the mean loss of a batch: X (B, D), y (B,)."""
    import jax
    import jax.numpy as jnp

    *hidden, W, b = params
    A = activation(X @ hidden[0] + hidden[1]) if hidden else X
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
