"""What a case's contenders have done, as the rows of timings.csv and curves.csv."""

from __future__ import annotations

from typing import Any

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.entrant import Entrant
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.benchmark.results import CurvePoint, Timing

__all__ = ["curve_rows", "timing_rows"]


def timing_rows(
    entrant: Entrant, case: Case, problem: Problem | None, reference: Outcome | None, run_id: str
) -> list[Timing]:
    """Give a row a timed repeat of a visit, and one more for what went wrong.

    Of a contender that did other work there is only the latter, without one duration.
    """
    common = _common(entrant, case, problem, reference, run_id)
    if entrant.disagreement is not None:
        failure = Timing(
            **common,
            loss_final=entrant.loss,
            loss_rel_err=entrant.disagreement.loss_error,
            verified=False,
            status=entrant.status,
            error=entrant.reason,
        )
        return [failure]
    common |= {"compile_s": entrant.compile_s, "prep_s": entrant.prep_s}
    closed = entrant.kind.division == "closed"
    rows = [
        Timing(
            **common,
            repeat=repeat.number,
            order_index=repeat.order_index,
            time_s=repeat.time_s,
            rss_peak_bytes=entrant.rss_peak_bytes,
            loss_final=repeat.loss,
            loss_rel_err=repeat.loss_error,
            verified=True if closed else None,
            status="ok",
        )
        for repeat in entrant.repeats
    ]
    if entrant.status != "ok":
        rows.append(Timing(**common, status=entrant.status, error=entrant.reason))
    return rows


def curve_rows(entrant: Entrant, case: Case) -> list[CurvePoint]:
    """Give a row a point of the curve; none of a contender that anything went wrong with."""
    return [
        CurvePoint(
            cell_id=case.cell_id,
            impl=entrant.kind.name,
            seed=case.seed,
            epoch=point.epoch,
            elapsed_s=point.elapsed_s,
            train_loss=point.train_loss,
            test_accuracy=point.test_accuracy,
        )
        for point in entrant.curve
    ]


def _common(
    entrant: Entrant, case: Case, problem: Problem | None, reference: Outcome | None, run_id: str
) -> dict[str, Any]:
    """Collect what all rows of a contender in a case have in common."""
    common: dict[str, Any] = {
        name: getattr(case, name)
        for name in ("cell_id", "model", "dataset", "n_hidden", "solver", "batch_size", "dtype")
    }
    common |= {"threads": case.threads, "epochs": case.epochs, "seed": case.seed}
    common |= {"run_id": run_id, "impl": entrant.kind.name, "division": entrant.kind.division}
    common["impl_version"] = entrant.version
    if problem is not None:
        common["n_samples"], common["n_features"] = problem.X.shape
        common["n_classes"] = problem.n_classes
        if entrant.by_epoch:
            common["samples"], common["flops"] = problem.samples, problem.flops
    if reference is not None:
        common["loss_ref"] = reference.loss
    return common
