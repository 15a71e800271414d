"""The columns of a run's tables, as the rows of each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

__all__ = ["CURVE_COLUMNS", "SCHEMA_VERSION", "TIMING_COLUMNS", "CurvePoint", "Status", "Timing"]

SCHEMA_VERSION = 1

Status = Literal["ok", "unsupported", "failed-verification", "failed"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One row of timings.csv: one timed repeat of a contender, or the failure of one.

    The fields are the columns, in order; results/README.md says what each holds.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    cell_id: str
    model: str
    dataset: str
    n_samples: int | None = None
    n_features: int | None = None
    n_hidden: int | None = None
    n_classes: int | None = None
    impl: str
    impl_version: str
    division: str
    solver: str
    batch_size: int
    dtype: str
    threads: int
    epochs: int
    seed: int
    repeat: int | None = None
    order_index: int | None = None
    time_s: float | None = None
    compile_s: float | None = None
    prep_s: float | None = None
    samples: int | None = None
    flops: int | None = None
    rss_peak_bytes: int | None = None
    loss_final: float | None = None
    loss_ref: float | None = None
    loss_rel_err: float | None = None
    verified: bool | None = None
    status: Status
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One row of curves.csv: how good a contender was after an epoch of a case.

    The fields are the columns, in order; results/README.md says what each holds.
    """

    cell_id: str
    impl: str
    seed: int
    epoch: int
    elapsed_s: float
    train_loss: float
    test_accuracy: float | None


TIMING_COLUMNS = tuple(field.name for field in fields(Timing))
CURVE_COLUMNS = tuple(field.name for field in fields(CurvePoint))
