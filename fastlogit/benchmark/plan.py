"""How long a run takes: from the sizes of its cases, and soon from what has been measured."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from fastlogit.benchmark.case_runner import repeats_of
from fastlogit.benchmark.cases import FIRST_FITS, Case, epoch_seconds, sizes, task_of
from fastlogit.benchmark.implementations import Implementation
from fastlogit.benchmark.schema import PRODUCT, Timing

if TYPE_CHECKING:
    from fastlogit.benchmark.session import Round

# To start a process, import what the implementations need and calibrate, in every round; to lay a
# case's data out and write its results; a short call's repeat; the advice on a user's own file.
_ROUND_SECONDS, _CASE_SECONDS, _LEAST_REPEAT_SECONDS, _ADVICE_SECONDS = 3.0, 0.05, 0.02, 15.0
# Runs beside the timed repeats of the first round: verification, reference, loss curves, memory.
_OTHER_RUNS = 6
# A training's time over NumPy's, and the seconds that it takes to compile or load in a case;
# measured on small and middling sets, rounded. One that is not named is taken for NumPy.
_PACES = {
    "fastlogit": (0.2, 0.3), "jax": (0.4, 3.0), "torch": (1.6, 0.5), "fastlogit-lbfgs": (0.1, 0.0),
    "sklearn-lbfgs": (0.1, 0.0),
}  # fmt: skip
# The epochs of plain NumPy that a fit of an estimator takes as long as, and their batches.
_LINEAR_FIT, _NETWORK_FIT = ("softmax", 50, 2**31), ("mlp-softmax", 200, 200)
_FIRST_FIT_SECONDS, _COMPILING_SECONDS = 2.0, 8.0


class Plan:
    """The work that is left of a run: what is scheduled, without what is done already."""

    def __init__(self, rounds: Sequence["Round"], done: Collection[tuple[str, int]] = ()) -> None:
        self.n_rounds = len(rounds)
        # By case and round: the seconds that are left, and what takes part in which repeats.
        self.left: dict[tuple[str, int], float] = {}
        self._work: dict[tuple[str, int], tuple[Sequence[type[Implementation]], range]] = {}
        # The seconds of what is done and of its estimate, in the first round and in later ones;
        # they begin with some that came true, so that the first short cases do not decide alone.
        self._spent, self._estimated = {True: 5.0, False: 5.0}, {True: 5.0, False: 5.0}
        self._extra = 0.0
        for each in rounds:
            for case, implementations in each.cases:
                if (key := (case.case_id, each.number)) not in done:
                    self._work[key] = implementations, each.repeats
                    self.left[key] = _estimate(case, implementations, each)
                    self._extra = _ADVICE_SECONDS if case.data_file is not None else 0.0
        self.n_parts, self.n_cases = len(self.left), len({case_id for case_id, _ in self.left})

    def finish(self, case_id: str, number: int, seconds: float, timings: Sequence[Timing]) -> None:
        """Take note that a case was measured in a round, and how long that took."""
        first = number == 1
        self._spent[first] += seconds
        self._estimated[first] += self.left.pop((case_id, number))
        for key in self.left if first else ():
            if key[0] == case_id:
                implementations, repeats = self._work[key]
                known = [_repeated_seconds(timings, each, repeats) for each in implementations]
                # No later round takes longer than the first, which does the same and more.
                self.left[key] = min(seconds, _CASE_SECONDS + sum(known))

    def seconds_left(self) -> float:
        """Estimate the seconds left, by how long what is done took against its estimate."""
        total = _ROUND_SECONDS * len({number for _, number in self.left}) + self._extra
        for (_, number), seconds in self.left.items():
            total += seconds * self._spent[number == 1] / self._estimated[number == 1]
        return total


def _estimate(case: Case, implementations: Sequence[type[Implementation]], part: "Round") -> float:
    """Estimate the seconds of a case in a round from its sizes, within a factor of about two."""
    repeats = len(repeats_of("", case.task, part.repeats))
    if case.task in FIRST_FITS:
        n_compiling = sum(each.name == PRODUCT for each in implementations)
        compiling = n_compiling * _COMPILING_SECONDS if case.task == "cold-fit" else 0.0
        return repeats * (len(implementations) * _FIRST_FIT_SECONDS + compiling)
    model, epochs, batch = _LINEAR_FIT if case.n_hidden is None else _NETWORK_FIT
    runs = 1 if case.task == "predict_proba" else repeats + 1  # which needs a single fit
    if case.task == "train":
        model, epochs, batch = case.model, case.epochs, case.batch_size
        runs = repeats + (_OTHER_RUNS if part.number == 1 else 1)
    shape = sizes(case.model, case.dataset, case.data_file)
    fit = epochs * epoch_seconds(model, shape, min(batch, shape[0]), case.n_hidden)
    paces = [_PACES.get(each.name, (1.0, 0.0)) for each in implementations]
    return _CASE_SECONDS + sum(fit * pace * runs + start for pace, start in paces)


def _repeated_seconds(
    timings: Sequence[Timing], implementation: type[Implementation], repeats: range
) -> float:
    """Return the seconds of later repeats by what a first round gave; 0 for what has failed."""
    name = implementation.comparison, implementation.name
    own = [row for row in timings if (row.comparison, row.implementation) == name]
    times = [row.time_s for row in own if row.time_s is not None]
    if not times or own[-1].status != "ok":
        return 0.0
    start = (own[0].compile_s or 0.0) + (own[0].prep_s or 0.0)
    count = len(repeats_of(own[0].comparison, task_of(own[0].case_id), repeats))
    return start + count * max(_LEAST_REPEAT_SECONDS, sum(times) / len(times))
