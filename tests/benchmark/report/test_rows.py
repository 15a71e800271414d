import dataclasses

from fastlogit.benchmark.report import rows
from fastlogit.benchmark.table import duration

SMALL = {"models": ("softmax",), "sets": ("iris",)}


def table(findings, tiny=()):
    names = [name for name, _ in rows.columns(findings)]
    return [dict(zip(names, row, strict=True)) for row in rows.all_results(findings, set(tiny))]


def test_a_row_a_contender_with_what_was_measured(findings):
    run = findings(
        **SMALL, change=lambda t: dataclasses.replace(t, time_s=0.5 if t.impl == "numpy" else 0.25)
    )
    numpy, numba, *_, learn = table(run)
    samples = int(run.cells["samples"].iloc[0])
    flops = int(run.cells["flops"].iloc[0])
    assert numba["Time a row"].value == 0.25 / samples
    assert numba["Time a row"].text == duration(0.25 / samples)
    assert numba["GFLOP/s"].text == f"{flops / 0.25 / 1e9:#.3g}"
    # The gather of the rows took 0.002 s.
    assert (numba["Of limit"].text, numba["Of limit"].value) == ("0.8 %", 0.008)
    assert (numba["× numpy"].text, numba["95 %"].text) == ("2.00×", "2.00–2.00")
    assert (numba["Verdict"].text, numba["Verdict"].kind) == ("▲ faster", "win")
    assert (numba["First call"].text, numba["Peak memory"].text) == ("4 ms", "330 MB")
    assert numpy["Verdict"].text == numpy["× numpy"].text == ""
    assert learn["Verdict"].text == "open"


def test_memory_below_a_megabyte_is_told_in_kilobytes(findings):
    peaks = {"numpy": 0, "numba": 41_400, "jax": 999_000, "torch": 1_600_000, "scikit-learn": None}
    run = findings(**SMALL, change=lambda t: dataclasses.replace(t, rss_peak_bytes=peaks[t.impl]))
    shown = [row["Peak memory"] for row in table(run)]
    assert [field.text for field in shown] == ["0 kB", "41 kB", "999 kB", "2 MB", ""]
    assert [field.value for field in shown] == [0, 41_400, 999_000, 1_600_000, None]


def test_a_loss_and_an_even_one_are_marked_by_a_sign_and_a_word(findings):
    def change(timing):
        slow = {"numpy": 1.0, "jax": 2.0, "torch": 1.0 + timing.repeat % 2 / 2}
        return dataclasses.replace(timing, time_s=slow.get(timing.impl, 1.0))

    shown = {
        row["Contender"].text: row["Verdict"].text
        for row in table(findings(**SMALL, change=change))
    }
    assert shown["jax"] == "▼ slower"
    assert shown["numba"] == "= even"


def test_a_failure_shows_its_status_and_no_figure(findings):
    def change(timing):
        if timing.impl != "jax":
            return timing
        return dataclasses.replace(timing, time_s=None, status="failed-verification")

    jax = table(findings(**SMALL, change=change))[2]
    shown = {name: field.text for name, field in jax.items() if field.text}
    assert shown == {
        "Model": "softmax",
        "Data set": "iris",
        "Contender": "jax",
        "Verdict": "failed-verification",
    }


def test_columns_follow_what_varies(findings):
    run = findings(**SMALL | {"batch_sizes": (8, 32)})
    assert [name for name, _ in rows.columns(run)][:4] == [
        "Model",
        "Data set",
        "Batch",
        "Contender",
    ]
    assert table(run)[0]["Batch"].value == 8.0
    assert table(run, ["iris"])[0]["Data set"].text == "iris †"
