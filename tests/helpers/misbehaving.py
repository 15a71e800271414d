"""Implementations that misbehave on purpose, where a spawned process can import them too."""

import ctypes
import os
import time

from fastlogit.benchmark.implementations import AnyAlgorithm, UnsupportedError
from fastlogit.benchmark.implementations.both_backends import Numpy
from fastlogit.benchmark.problem import Outcome


def shifted(outcome, shift):
    """Return the outcome with all parameters off by so much."""
    return Outcome(tuple(p + shift for p in outcome.params), outcome.loss_curve)


class Counting(Numpy):
    """Counts its runs."""

    runs = 0

    def run(self):
        super().run()
        self.runs += 1


class Wrong(Numpy):
    name = "wrong"

    def result(self):
        return shifted(super().result(), 1e-3)


class WrongLater(Counting):
    """Right when it is verified first, and wrong from the third timed repeat on."""

    name = "wrong-later"

    def result(self):
        return shifted(super().result(), 0.1 * max(0, self.runs - 3))


class WrongInRoundTwo(Numpy):
    """Right in its first round; `begun` counts them."""

    name = "wrong-in-round-two"
    begun = 0

    def prepare(self, problem):
        super().prepare(problem)
        type(self).begun += 1

    def result(self):
        return shifted(super().result(), 1e-2 * (type(self).begun - 1))


class WrongCurve(Numpy):
    """Right whenever it runs through, and not when it stops on the way."""

    name = "wrong-curve"
    drift = 0.0

    def run(self):
        super().run()
        self.drift = 0.0

    def advance(self, epochs):
        super().advance(epochs)
        self.drift += 1e-3

    def result(self):
        return shifted(super().result(), self.drift)


class WrongAtLast(WrongCurve):
    """Right in every timed run and along the curve, wrong in a run after it."""

    name = "wrong-at-last"
    traced = False

    def run(self):
        super().run()
        self.drift = 1e-3 if self.traced else 0.0

    def advance(self, epochs):
        Numpy.advance(self, epochs)
        self.traced, self.drift = True, 0.0


class Raises(Numpy):
    name = "raises"

    def prepare(self, *_):
        raise RuntimeError("no\n  memory")


class RaisesLater(Numpy):
    """Fails in its second timed repeat, the third time that its result is read."""

    name = "raises-later"
    results = 0

    def result(self):
        self.results += 1
        if self.results == 3:
            raise MemoryError("out of it")
        return super().result()


class RaisesInCurve(Numpy):
    name = "raises-in-curve"

    def advance(self, epochs):
        raise RuntimeError("no way back")


class Compiles(Counting):
    """Compiles something in every run."""

    name = "compiles"

    def compilations(self):
        return self.runs


class CompilesInCurve(Numpy):
    """Compiles something when it stops."""

    name = "compiles-in-curve"
    count = 0

    def advance(self, epochs):
        super().advance(epochs)
        self.count += 1

    def compilations(self):
        return self.count


class Interrupted(Numpy):
    """Ctrl-C comes when it has run a number of times."""

    name = "interrupted"
    runs_left = 0

    def run(self):
        super().run()
        type(self).runs_left -= 1
        if type(self).runs_left == 0:
            raise KeyboardInterrupt


class Other(AnyAlgorithm):
    """Another algorithm: NumPy's, with parameters that are all too large by 1."""

    name = "other"
    distribution = module = "numpy"
    install = "pip install numpy"

    def prepare(self, problem):
        super().prepare(problem)
        self.inner = Numpy()
        self.inner.prepare(problem)

    def fit(self, iterations):
        self.inner.rewind()
        self.inner.advance(min(iterations, self.problem.case.epochs))

    def result(self):
        return Outcome(shifted(self.inner.result(), 1).params, (0.5,))


class Unable(Numpy):
    name = "unable"

    def prepare(self, *_):
        raise UnsupportedError("no such model here")


class InAVariant(Numpy):
    name = "in-a-variant"

    def variant(self):
        return "by hand"


class Absent(Numpy):
    name = "absent"
    module = "a_module_that_nobody_has"
    install = "pip install luck"


class Hangs(Counting):
    """Sleeps on in its second run."""

    name = "hangs"

    def run(self):
        super().run()
        while self.runs == 2:
            time.sleep(1)


class Crashes(Numpy):
    """Reads where there is no memory."""

    name = "crashes"

    def run(self):
        ctypes.string_at(0)


class Chatters(Numpy):
    """Writes to both streams."""

    name = "chatters"

    def run(self):
        super().run()
        print("chatter on stdout", flush=True)
        os.write(2, b"chatter on stderr")


class InProcess:
    """Stands in for `fastlogit.benchmark.pool.MeasuringPool` where no process is needed."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def restart(self):
        pass

    def call(self, function, *args, timeout=None, **kwargs):
        return function(*args, **kwargs)
