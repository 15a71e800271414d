"""A visit to a case in the measuring process: who hangs or crashes there is out of the case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.worker import Worker, WorkLostError

__all__ = ["call_for_case"]


def call_for_case(
    worker: Worker,
    work: Callable[..., Any],
    case: Case,
    contenders: Sequence[type[Contender]],
    *,
    timeout: float | None = None,
    **options: Any,
) -> tuple[Any, dict[str, str]]:
    """Have work done on a case, and done again without a contender that it was lost to.

    Parameters
    ----------
    worker : Worker
        Where it is done.
    work : callable
        Called with the case, a list of contenders and the options.
    case : Case
        The case.
    contenders : sequence of Contender subclasses
        Who takes part.
    timeout : float, optional
        Seconds for all of them together. Whoever is at work then is left out, and the others have
        that time once more.
    **options
        Further arguments of `work`.

    Returns
    -------
    result : object
        What `work` returned; None if nobody was left.
    lost : dict of str to str
        By the names of those that it was lost to, how.
    """
    lost: dict[str, str] = {}
    left = list(contenders)
    while left:
        try:
            return worker.call(work, case, left, timeout=timeout, **options), lost
        except WorkLostError as loss:
            # Lost before any contender began, the case itself is at fault.
            at_fault = [kind for kind in left if kind.name == loss.at_work] or left
            lost |= {kind.name: str(loss) for kind in at_fault}
            left = [kind for kind in left if kind.name not in lost]
    return None, lost
