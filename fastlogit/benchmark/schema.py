"""The columns of a run's tables, as the fields of their rows.

A column is a field here and a line in results/README.md.
"""

from dataclasses import dataclass, fields
from typing import Literal

SCHEMA_VERSION = 2

Comparison = Literal["same-estimator", "same-steps", "any-algorithm"]
Status = Literal["ok", "unsupported", "failed-verification", "failed"]

# The questions in the order of a reader's interest, and what each compares with.
BASELINES = {"same-estimator": "scikit-learn", "same-steps": "numpy", "any-algorithm": ""}
PRODUCT = "fastlogit"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One row of timings.csv: a timed repeat of an implementation, or why there is none."""

    schema_version: int = SCHEMA_VERSION
    run_id: str = ""
    case_id: str
    comparison: Comparison
    model: str
    dataset: str
    n_samples: int | None = None
    n_features: int | None = None
    n_hidden: int | None = None
    n_classes: int | None = None
    implementation: str
    version: str
    solver: str
    batch_size: int | None = None
    dtype: str
    threads: int
    epochs: int | None = None
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
    """One row of curves.csv: the loss that an implementation has reached after some epochs."""

    case_id: str
    implementation: str
    seed: int
    epoch: int
    elapsed_s: float
    train_loss: float
    test_accuracy: float | None


TIMING_COLUMNS = tuple(field.name for field in fields(Timing))
CURVE_COLUMNS = tuple(field.name for field in fields(CurvePoint))
SUMMARY_COLUMNS = (
    "case_id", "comparison", "model", "dataset", "implementation", "version", "solver",
    "batch_size", "dtype", "threads", "n", "median_s", "q1_s", "q3_s", "samples_per_s", "gflop_s",
    "limit_fraction", "speedup", "speedup_low", "speedup_high", "baseline", "time_to_target_s",
    "verified", "status",
)  # fmt: skip
