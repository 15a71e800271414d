"""Contenders that misbehave on purpose, where a spawned process can import them too."""

import ctypes
import os
import sys
import time
from pathlib import Path

from fastlogit.benchmark import worker
from fastlogit.benchmark.contenders import OpenContender, UnsupportedError
from fastlogit.benchmark.contenders.own import NumpyContender
from fastlogit.benchmark.problem import Outcome
from fastlogit.benchmark.results import CurvePoint, Timing
from fastlogit.benchmark.runner import Measured


class Wrong(NumpyContender):
    """Its last bias is off by 0.1 %."""

    name = "wrong"
    offset = 1e-3

    def result(self):
        outcome = super().result()
        *others, bias = outcome.params
        return Outcome((*others, bias + self.offset), outcome.loss_curve)


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


class WrongInRoundTwo(NumpyContender):
    """Right as often as it runs in the first round of one cell, and wrong from then on."""

    name = "wrong-in-round-two"
    begun = 0

    def prepare(self, problem):
        super().prepare(problem)
        type(self).begun += 1

    def result(self):
        outcome = super().result()
        drift = 1e-2 * (type(self).begun - 1)
        return Outcome(tuple(p + drift for p in outcome.params), outcome.loss_curve)


class RaisesInRoundTwo(NumpyContender):
    """Fails in its second timed repeat of the second round."""

    name = "raises-in-round-two"
    begun = 0
    runs = 0

    def prepare(self, problem):
        super().prepare(problem)
        type(self).begun += 1

    def run(self):
        super().run()
        self.runs += 1
        if (self.begun, self.runs) == (2, 2):
            raise MemoryError("out of it")


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


def raise_error(kind, message):
    raise kind(message)


def sleep_in_c():
    """Sleep in a C function that does not let another thread of Python run."""
    ctypes.PyDLL(None).sleep(1000)


def sign_in(path, seconds):
    """Leave the process's number in a file, and stay for a while."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(seconds)


def die_by(number):
    os.kill(os.getpid(), number)
    time.sleep(1000)


def say_and_leave(words):
    sys.stderr.write(words)
    sys.stderr.flush()
    os._exit(1)


def note_and_leave(text):
    worker.note(text)
    os._exit(1)


def note_and_raise(text):
    worker.note(text)
    raise RuntimeError


def names_of(case, kinds, prefix=""):
    """Stand in for what is done with a case and its contenders."""
    return [prefix + kind.name for kind in kinds]


def measure_nothing(case, kinds, *, repeats, run_id, turns, passes):
    """Give the rows of a visit without measuring anything, the same every time."""
    common = {name: getattr(case, name) for name in ("cell_id", "model", "dataset", "solver")}
    common |= {name: getattr(case, name) for name in ("batch_size", "dtype", "threads", "epochs")}
    timings, curve = [], []
    for kind in kinds:
        own = {"impl": kind.name, "impl_version": "1", "division": kind.division}
        own |= {"run_id": "r", "seed": case.seed, "n_samples": 9, "n_features": 2}
        own |= {"samples": 9, "flops": 99, "verified": True, "status": "ok"}
        if kind is Wrong and repeats.start:
            own |= {"verified": False, "status": "failed-verification"}
            timings.append(Timing(**common, **own))
            continue
        if not repeats.start:
            own |= {"compile_s": 0.125, "prep_s": 0.25}
        for repeat in repeats:
            turn = turns + len(timings)
            own |= {"repeat": repeat, "order_index": turn, "time_s": 0.5 + repeat}
            timings.append(Timing(**common, **own))
        for epoch in range(0 if repeats.start else 3):
            point = {"cell_id": case.cell_id, "impl": kind.name, "seed": case.seed}
            point |= {"elapsed_s": 0.1 * epoch, "train_loss": 0.9**epoch, "test_accuracy": None}
            curve.append(CurvePoint(**point, epoch=epoch))
    return Measured(timings, curve, 0.25, 0.5)


def dies_at_some(case, kinds):
    for kind in kinds:
        worker.note(kind.name)
        if kind is Leaves:
            os._exit(7)
        if kind is Crashes:
            raise ValueError(kind.name)
    return names_of(case, kinds)


def hangs_at_some(case, kinds):
    for kind in kinds:
        worker.note(kind.name)
        if kind is Hangs:
            time.sleep(1000)
    return names_of(case, kinds)


def leave_at_once(case, kinds):
    os._exit(3)


class Hangs(NumpyContender):
    """Sleeps on in its second run."""

    name = "hangs"
    runs = 0

    def run(self):
        super().run()
        self.runs += 1
        while self.runs == 2:
            time.sleep(1)


class HangsInC(NumpyContender):
    """Never comes back from a C function, and never lets another thread of Python run."""

    name = "hangs-in-c"

    def run(self):
        sleep_in_c()


class Crashes(NumpyContender):
    """Reads where there is no memory."""

    name = "crashes"

    def run(self):
        ctypes.string_at(0)


class Aborts(NumpyContender):
    """Ends the process as a C library does that has found something wrong."""

    name = "aborts"

    def run(self):
        os.write(2, b"first words\n  corrupted  heap\n")
        os.abort()


class Leaves(NumpyContender):
    """Ends the process without a word."""

    name = "leaves"

    def run(self):
        os._exit(7)


class CallsExit(NumpyContender):
    """Means to end the program."""

    name = "calls-exit"

    def run(self):
        raise SystemExit(3)


class Chatters(NumpyContender):
    """Writes to both streams."""

    name = "chatters"

    def run(self):
        super().run()
        print("chatter on stdout", flush=True)
        os.write(2, b"chatter on stderr")


class InProcess:
    """Stands in for `fastlogit.benchmark.worker.Worker` where no process of its own is needed."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def end(self):
        pass

    def call(self, function, *args, timeout=None, **kwargs):
        return function(*args, **kwargs)


class Impatient(InProcess):
    """Loses its patience at once with the contenders that hang."""

    def call(self, function, *args, timeout=None, **kwargs):
        hanging = [name for name in names_of(*args[:2]) if "hangs" in name] if args[1:] else []
        if hanging:
            raise worker.TimedOutError(f"timeout after {timeout:g} s", hanging[0])
        return super().call(function, *args, **kwargs)


FAKES = {
    kind.name: kind
    for kind in (
        *(Wrong, WrongLater, Raises, RaisesLater),
        *(Compiles, Interrupted, Open, Absent),
        *(Unable, Formed, WrongCurve, RaisesInCurve),
        *(CompilesInCurve, WrongAtLast),
        *(WrongInRoundTwo, RaisesInRoundTwo),
        *(Hangs, HangsInC, Crashes, Aborts, Leaves, CallsExit, Chatters),
    )
}
