"""Contenders that misbehave on purpose, where a spawned process can import them too."""

from fastlogit.benchmark.contenders import OpenContender, UnsupportedError
from fastlogit.benchmark.contenders.own import NumpyContender
from fastlogit.benchmark.problem import Outcome


class Wrong(NumpyContender):
    """Its last bias is off by 0.1 %."""

    name = "wrong"

    def result(self):
        outcome = super().result()
        *others, bias = outcome.params
        return Outcome((*others, bias + 1e-3), outcome.loss_curve)


class WrongLater(NumpyContender):
    """Right when verified first, then trains on from where it stopped."""

    name = "wrong-later"
    runs = 0

    def run(self):
        super().run()
        self.runs += 1

    def result(self):
        outcome = super().result()
        drift = 0.1 * max(0, self.runs - 3)
        return Outcome(tuple(p + drift for p in outcome.params), outcome.loss_curve)


class Raises(NumpyContender):
    """Cannot even prepare."""

    name = "raises"

    def prepare(self, *_):
        raise RuntimeError("no\n  memory")


class RaisesLater(NumpyContender):
    """Fails in its second timed repeat."""

    name = "raises-later"
    runs = 0

    def run(self):
        self.runs += 1
        if self.runs == 3:
            raise MemoryError("out of it")
        super().run()


class Compiles(NumpyContender):
    """Compiles something in every run."""

    name = "compiles"
    count = 0

    def run(self):
        super().run()
        self.count += 1

    def compilations(self):
        return self.count


class Interrupted(NumpyContender):
    """Ctrl-C comes when it has run a number of times, counted over all cases."""

    name = "interrupted"
    runs_left = 0

    def run(self):
        super().run()
        type(self).runs_left -= 1
        if type(self).runs_left == 0:
            raise KeyboardInterrupt


class WrongCurve(NumpyContender):
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
        outcome = super().result()
        return Outcome(tuple(p + self.drift for p in outcome.params), outcome.loss_curve)


class RaisesInCurve(NumpyContender):
    """Cannot stop and go on."""

    name = "raises-in-curve"

    def advance(self, epochs):
        raise RuntimeError("no way back")


class CompilesInCurve(NumpyContender):
    """Compiles something when it stops."""

    name = "compiles-in-curve"
    count = 0

    def advance(self, epochs):
        super().advance(epochs)
        self.count += 1

    def compilations(self):
        return self.count


class WrongAtLast(NumpyContender):
    """Right in every timed run and along the curve, wrong in a run after it."""

    name = "wrong-at-last"
    traced = False
    drift = 0.0

    def run(self):
        super().run()
        self.drift = 1e-3 if self.traced else 0.0

    def advance(self, epochs):
        super().advance(epochs)
        self.traced = True

    def result(self):
        outcome = super().result()
        return Outcome(tuple(p + self.drift for p in outcome.params), outcome.loss_curve)


class Open(OpenContender):
    """Another algorithm: NumPy's, with parameters that are all too large by 1."""

    name = "open"
    distribution = module = "numpy"
    install = "pip install numpy"

    def prepare(self, problem):
        super().prepare(problem)
        self.inner = NumpyContender()
        self.inner.prepare(problem)

    def fit(self, iterations):
        self.inner.rewind()
        self.inner.advance(min(iterations, self.problem.case.epochs))

    def result(self):
        outcome = self.inner.result()
        return Outcome(tuple(p + 1 for p in outcome.params), (0.5,))


class Unable(NumpyContender):
    """Has no way to do any case."""

    name = "unable"

    def prepare(self, *_):
        raise UnsupportedError("no such model here")


class Formed(NumpyContender):
    """Says which way it takes."""

    name = "formed"

    def form(self):
        return "by hand"


class Absent(NumpyContender):
    """Needs a module that nobody has."""

    name = "absent"
    module = "a_module_that_nobody_has"
    install = "pip install luck"


FAKES = {
    kind.name: kind
    for kind in (
        *(Wrong, WrongLater, Raises, RaisesLater),
        *(Compiles, Interrupted, Open, Absent),
        *(Unable, Formed, WrongCurve, RaisesInCurve),
        *(CompilesInCurve, WrongAtLast),
    )
}
