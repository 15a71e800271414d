"""Training that ends before its last epoch: by the callback, by Ctrl-C, by a diverging loss."""

import signal
import sys
import threading

import numpy as np
import pytest

import fastlogit
from fastlogit.training import trainer as trainer_module


def run(model, task, **arguments):
    return fastlogit.train(
        model, task.X, task.y, task.params, sample_weight=task.weight, **arguments
    )


def assert_equal(result, expected):
    assert np.array_equal(result.loss_curve, expected.loss_curve)
    assert result.n_steps == expected.n_steps
    for array, other in zip(result.params, expected.params, strict=True):
        assert np.array_equal(array, other)


def test_callback_after_each_epoch(problem, model, solver, backend):
    task = problem(model, 20, 3, 2)
    calls = []

    def callback(epoch, loss, params):
        calls.append((epoch, loss, [array.copy() for array in params]))
        for array in params:  # a copy: training goes on from its own
            array[...] = np.nan

    arguments = {"epochs": 3, "random_state": 0, "solver": solver, "backend": backend}
    result = run(model, task, callback=callback, **arguments)
    assert_equal(result, run(model, task, **arguments))
    assert [epoch for epoch, _, _ in calls] == [0, 1, 2]
    assert [loss for _, loss, _ in calls] == result.loss_curve.tolist()
    for array, last in zip(result.params, calls[-1][2], strict=True):
        assert np.array_equal(array, last)


def test_callback_ends_the_training(problem, model, backend):
    task = problem(model, 20, 3, 2)
    result = run(
        model,
        task,
        epochs=9,
        random_state=0,
        backend=backend,
        callback=lambda epoch, *_: epoch == 2,
    )
    assert len(result.loss_curve) == 3
    assert_equal(result, run(model, task, epochs=3, random_state=0, backend=backend))


def test_an_error_of_the_callback_comes_through(problem):
    def callback(*_):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run("logistic", problem("logistic", 9, 2), callback=callback)


@pytest.mark.parametrize("raised", ["by Python", "by a signal"])
def test_an_interrupt_in_the_callback(problem, model, solver, backend, raised):
    task = problem(model, 20, 3, 2)

    def callback(epoch, *_):
        if epoch == 2:
            if raised == "by Python":
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    arguments = {"random_state": 0, "solver": solver, "backend": backend}
    with pytest.raises(KeyboardInterrupt) as interrupt:
        run(model, task, epochs=9, callback=callback, **arguments)
    assert_equal(interrupt.value.result, run(model, task, epochs=3, **arguments))


def test_an_interrupt_while_kernels_run(problem, model, backend):
    """Whatever was under way, the result is that of the last whole epoch."""
    task = problem(model, 200, 20, 30)
    arguments = {"backend": backend, "learning_rate": 1e-3, "batch_size": 20, "random_state": 0}
    run(model, task, **arguments)  # compiled before the clock runs
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt) as interrupt:
        run(model, task, epochs=1_000_000, **arguments)
    result = interrupt.value.result
    epochs = len(result.loss_curve)
    assert 0 <= epochs < 1_000_000
    if epochs == 0:
        assert result.n_steps == 0
        for array, start in zip(result.params, task.params, strict=True):
            assert np.array_equal(array, start)
    else:
        assert_equal(result, run(model, task, epochs=epochs, **arguments))


class InterruptAtLine:
    """Raise KeyboardInterrupt before the n-th line that the trainer runs, as a signal would."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename != trainer_module.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)

    def __exit__(self, *_):
        sys.settrace(self.before)


@pytest.mark.parametrize("with_callback", [False, True])
def test_an_interrupt_at_any_line(problem, solver, backend, with_callback):
    """Python may see Ctrl-C between any two lines: the curve always fits the parameters."""
    task = problem("softmax", 20, 3)
    order = np.arange(20)[None].repeat(4, axis=0)
    arguments = {"solver": solver, "backend": backend, "batch_size": 5}
    callback = (lambda *_: None) if with_callback else None
    whole = {
        epochs: run("softmax", task, order=order[:epochs], epochs=epochs, **arguments)
        for epochs in range(1, 5)
    }
    seen = set()
    for n in range(1, 1000):
        try:
            with InterruptAtLine(n):
                run("softmax", task, order=order, epochs=4, callback=callback, **arguments)
        except KeyboardInterrupt as interrupt:
            result = getattr(interrupt, "result", None)
            epochs = 0 if result is None else len(result.loss_curve)
            # Only what comes before or after the training has no result to show.
            assert result is not None or not seen or n > max(seen), f"line {n}"
            if epochs > 0:
                assert_equal(result, whole[epochs])
            elif result is not None:
                assert result.n_steps == 0, f"line {n}"
            if result is not None:
                seen.add(n)
        else:
            break
    assert len(seen) > 20


def diverging(dtype, backend, solver="sgd"):
    """Return arguments with which the weights grow 24-fold a step, until they overflow."""
    if solver == "sgd":
        return {"learning_rate": 0.5, "alpha": 50.0, "batch_size": 8, "backend": backend}
    rate = 0.5 * float(np.finfo(dtype).max)
    return {"solver": "adam", "learning_rate": rate, "batch_size": 8, "backend": backend}


@pytest.mark.filterwarnings("ignore:training diverged")  # its finite epochs, trained again alone
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("with_callback", [False, True])
def test_divergence_names_epoch_and_learning_rate(problem, model, backend, dtype, with_callback):
    task = problem(model, 20, 3, 2, dtype=dtype)
    order = np.arange(20)[None].repeat(200, axis=0)
    arguments = diverging(dtype, backend)
    callback = (lambda *_: None) if with_callback else None
    with (
        np.errstate(all="ignore"),
        pytest.raises(fastlogit.DivergenceError, match=r"in epoch \d+ .*learning_rate=0\.5") as end,
    ):
        run(model, task, order=order, epochs=200, callback=callback, **arguments)
    result = end.value.result
    epochs = len(result.loss_curve)
    assert f"in epoch {epochs} " in str(end.value)
    assert 1 < epochs < 150
    assert np.isfinite(result.loss_curve).all()
    assert all(np.isfinite(array).all() for array in result.params)
    assert_equal(result, run(model, task, order=order[:epochs], epochs=epochs, **arguments))


def test_divergence_in_the_first_epoch(problem, model, solver, backend):
    task = problem(model, 20, 3, 2, dtype=np.float32)
    X = np.full_like(task.X, 1e30)
    params = tuple(np.full_like(array, 3e38) for array in task.params)
    with (
        np.errstate(all="ignore"),
        pytest.raises(fastlogit.DivergenceError, match="in epoch 0 ") as end,
    ):
        fastlogit.train(model, X, task.y, params, solver=solver, backend=backend)
    result = end.value.result
    assert result.loss_curve.shape == (0,)
    assert result.n_steps == 0
    for array, start in zip(result.params, params, strict=True):
        assert np.array_equal(array, start)


def test_divergence_of_adam(problem, model, backend):
    task = problem(model, 20, 3, 2, dtype=np.float32)
    arguments = diverging(np.float32, backend, "adam")
    with np.errstate(all="ignore"), pytest.raises(fastlogit.DivergenceError) as end:
        run(model, task, epochs=50, random_state=0, **arguments)
    assert all(np.isfinite(array).all() for array in end.value.result.params)


@pytest.mark.parametrize("with_callback", [False, True])
def test_parameters_that_overflow_in_an_epochs_last_step(backend, with_callback):
    """The loss is that before a step: after the last one only the parameters can tell."""
    X, y, params = np.zeros((8, 1)), np.arange(8) % 2, ([[1e-250]], [0.0])
    order = np.arange(8)[None].repeat(40, axis=0)
    callback = (lambda *_: None) if with_callback else None
    # W grows 10²⁰⁰-fold a step: the penalty still is finite at 10¹⁵⁰, the step from there is not.
    arguments = {"learning_rate": 1e200, "alpha": 1.0, "backend": backend, "callback": callback}
    for epochs in (3, 4, 40):
        with (
            np.errstate(all="ignore"),
            pytest.raises(fastlogit.DivergenceError, match="in epoch 2 ") as end,
        ):
            fastlogit.train(
                "logistic", X, y, params, order=order[:epochs], epochs=epochs, **arguments
            )
        result = end.value.result
        assert len(result.loss_curve) == result.n_steps == 2, epochs
        assert result.params.W[0, 0] == pytest.approx(1e150), epochs


def test_divergence_warns_of_nothing_else(problem, model, backend):
    """The error says it all: NumPy's own warnings of overflow would come first, and many."""
    task = problem(model, 20, 3, 2, dtype=np.float32)
    with pytest.raises(fastlogit.DivergenceError):
        run(model, task, epochs=200, random_state=0, **diverging(np.float32, backend))
