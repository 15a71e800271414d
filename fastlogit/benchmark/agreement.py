"""Whether all contenders do the same work, cell by cell, without any timing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.isolation import call_for_case
from fastlogit.benchmark.runner import Admission, verify_case
from fastlogit.benchmark.worker import Worker

__all__ = ["agreements"]


def agreements(
    cases: Sequence[Case], contenders: Sequence[type[Contender]], *, timeout: float | None = None
) -> Iterator[dict[str, Any]]:
    """Hold every contender against the NumPy reference in every case.

    Parameters
    ----------
    cases : sequence of Case
        What is trained.
    contenders : sequence of Contender subclasses
        Who trains.
    timeout : float, optional
        Seconds for a case, as `fastlogit.benchmark.isolation.call_for_case` takes them.

    Yields
    ------
    dict
        A case and contender each: ``cell_id, impl, impl_version, division, params_error,
        loss_error, tolerance, verified, status, error``. An error that is missing or no number is
        None. The open division ends elsewhere and has neither errors nor a verdict.
    """
    with Worker() as worker:
        for case in cases:
            result, lost = call_for_case(worker, verify_case, case, contenders, timeout=timeout)
            admissions = {admission.impl: admission for admission in result or ()}
            for kind in contenders:
                admission = admissions.get(kind.name) or Admission(
                    impl=kind.name,
                    impl_version=kind.version(),
                    division=kind.division,
                    status="failed",
                    agreement=None,
                    error=lost[kind.name],
                )
                yield _row(case, admission)


def _row(case: Case, admission: Admission) -> dict[str, Any]:
    agreement = admission.agreement if admission.division == "closed" else None
    errors = ("params_error", "loss_error", "tolerance")
    return {
        "cell_id": case.cell_id,
        "impl": admission.impl,
        "impl_version": admission.impl_version,
        "division": admission.division,
        **{name: _finite(getattr(agreement, name, None)) for name in errors},
        "verified": None if agreement is None else agreement.holds,
        "status": admission.status,
        "error": admission.error,
    }


def _finite(value: float | None) -> float | None:
    """JSON knows no other numbers."""
    return value if value is not None and math.isfinite(value) else None
