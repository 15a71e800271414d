import io
from dataclasses import replace

import pytest
from rich.console import Console

from fastlogit.benchmark import progress
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.plan import PlannedVisit
from fastlogit.benchmark.progress import Progress
from fastlogit.benchmark.results import Timing
from fastlogit.benchmark.rounds import Visit

IMPLS = ("numpy", "numba")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def row(case, impl, time_s=None, status="ok"):
    return Timing(
        run_id="r",
        cell_id=case.cell_id,
        model=case.model,
        dataset=case.dataset,
        impl=impl,
        impl_version="1",
        division="closed",
        solver=case.solver,
        batch_size=case.batch_size,
        dtype=case.dtype,
        threads=case.threads,
        epochs=case.epochs,
        seed=case.seed,
        time_s=time_s,
        samples=1000,
        status=status,
    )


def planned(seconds=10.0, impls=IMPLS, rounds=1, **axes):
    axes = {"models": ("softmax",), "datasets": ("iris", "wine")} | axes
    kinds = tuple(type(impl, (Contender,), {"name": impl}) for impl in impls)
    return [
        PlannedVisit(Visit(case, number, rounds, range(2), kinds), seconds)
        for number in range(1, rounds + 1)
        for case in Grid(**axes).cases()
    ]


def rows(case, failed="numba"):
    times = [row(case, "numpy", seconds) for seconds in (1e-3, 2e-3, 9e-3)]
    return [*times, row(case, failed, status="failed")]


@pytest.fixture
def show(clock):
    def run(console, cells, **options):
        with Progress(console, cells, **options) as shown:
            for each in cells:
                shown.visit_started(each.visit)
                clock.now += 5
                shown.visit_done(each.visit, rows(each.visit.case))
        return console.file.getvalue()

    return run


def test_plain_lines_off_a_terminal(show):
    cells = planned()
    assert show(Console(file=io.StringIO()), cells).splitlines() == [
        "2 cells, about 20 s",
        f"[1/2] {cells[0].visit.case.cell_id}: numpy 2 µs, numba failed, about 5 s left",
        f"[2/2] {cells[1].visit.case.cell_id}: numpy 2 µs, numba failed, about 0 s left",
    ]


def test_a_line_a_visit_has_the_median_so_far(clock):
    cells = planned(rounds=2, datasets=("iris",))
    console = Console(file=io.StringIO())
    with Progress(console, cells) as shown:
        for each, seconds in zip(cells, (1e-3, 9e-3), strict=True):
            shown.visit_started(each.visit)
            clock.now += 5
            case = each.visit.case
            failed = [row(case, "numba", status="failed")] if seconds == 9e-3 else []
            shown.visit_done(
                each.visit, [row(case, "numpy", seconds), row(case, "numba", 1e-6), *failed]
            )
    name = cells[0].visit.case.cell_id
    assert console.file.getvalue().splitlines() == [
        "1 cell in 2 rounds, about 20 s",
        f"[1/2] round 1 of 2, {name}: numpy 1 µs, numba 1 ns, about 5 s left",
        f"[2/2] round 2 of 2, {name}: numpy 5 µs, numba failed, about 0 s left",
    ]


def test_a_dumb_terminal_gets_plain_lines(show, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    text = show(Console(file=Terminal(), force_terminal=True), planned())
    assert "\x1b" not in text
    assert text.count("s left") == 2


def test_the_time_left_follows_the_plan_at_the_pace_so_far(clock):
    cells = [
        replace(each, seconds=seconds)
        for each, seconds in zip(
            planned(datasets=("iris", "wine", "digits")), (10.0, 20.0, 30.0), strict=True
        )
    ]
    shown = Progress(Console(file=io.StringIO()), cells)
    assert shown._left() == 60
    shown.visit_started(cells[0].visit)
    clock.now += 4
    assert shown._left() == 56
    clock.now += 16
    shown.visit_done(cells[0].visit, [])
    assert shown._left() == 100  # twice as slow as planned
    shown.visit_started(cells[1].visit)
    clock.now += 30
    assert shown._left() == 70
    clock.now += 300
    assert shown._left() == 0  # late, but never negative


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_that_grows_on_a_terminal(show, monkeypatch, width):
    monkeypatch.setenv("TERM", "xterm")
    text = show(Console(file=Terminal(), force_terminal=True, width=width, height=24), planned())
    assert "\x1b[?25l" in text  # the cursor is hidden, and shown again
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    for word in ("time per sample", "softmax iris", "softmax wine", "2 µs", "failed", "1/2", "2/2"):
        assert word in text


def test_no_color_has_no_color(show, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in show(Console(file=Terminal(), force_terminal=True, width=120), planned())


def drawn(cells, *, width=80, height=24, failed="numba"):
    console = Console(file=io.StringIO(), width=width, height=height)
    shown = Progress(console, cells, enabled=False)
    for each in cells:
        shown.visit_done(each.visit, rows(each.visit.case, failed))
    console.print(shown._drawn())
    return console.file.getvalue().splitlines()


def test_only_the_last_cells_are_shown_where_there_is_no_room():
    names = ("iris", "wine", "digits", "moons", "blobs", "circles")
    lines = drawn(planned(datasets=names), height=10)
    assert len(lines) < 10
    shown = [name for name in names if any(name in line for line in lines)]
    assert shown == ["digits", "moons", "blobs", "circles"]


def test_a_cell_is_in_the_table_once_and_the_last_one_is_seen():
    names = ("iris", "wine", "digits", "moons", "blobs", "circles")
    cells = planned(datasets=names, rounds=2)
    for visits, expected in ((12, names[2:]), (7, names[:4]), (11, names[1:5])):
        lines = drawn(cells[:visits], height=10)
        assert [line.split()[1] for line in lines if line.startswith("softmax")] == list(expected)
        assert sum(f"{visits}/{visits}" in line for line in lines) == 1


def test_a_visit_that_nobody_was_left_for_is_counted(clock):
    cells = planned(rounds=2, datasets=("iris",))
    console = Console(file=io.StringIO())
    shown = Progress(console, cells, enabled=False)
    shown.visit_done(cells[0].visit, [])
    console.print(shown._drawn())
    assert "1/2" in console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_columns_that_have_no_room_are_left_out_whole(width):
    many = ("numpy", *(f"peer-number-{i}" for i in range(9)))
    lines = drawn(planned(impls=many), width=width, failed="peer-number-0")
    assert max(map(len, lines)) <= width
    header = lines[0].split()
    assert header[:3] == ["time", "per", "sample"]
    assert header[3] == "numpy"
    assert header[-1] == "…"
    assert set(header[3:-1]) < set(many)


def test_what_varies_stands_beside_model_and_data_set():
    cells = planned(batch_sizes=(8, 64), dtypes=("float32", "float64"), datasets=("iris",))
    lines = drawn(cells)
    assert [line.split("  ")[0].strip() for line in lines[1:5]] == [
        "softmax iris b8 float32",
        "softmax iris b8 float64",
        "softmax iris b64 float32",
        "softmax iris b64 float64",
    ]


def test_a_run_that_is_no_number_of_passes_has_its_own_time(clock):
    (cell,) = planned(datasets=("iris",), impls=("solver",))
    console = Console(file=io.StringIO())
    with Progress(console, [cell]) as shown:
        case = cell.visit.case
        shown.visit_done(cell.visit, [replace(row(case, "solver", 0.0125), samples=None)])
    assert ": solver 12.5 ms a run, about" in console.file.getvalue()


def test_nothing_when_not_wanted(show):
    assert show(Console(file=io.StringIO()), planned(), enabled=False) == ""


def test_nothing_to_do_is_no_error():
    with Progress(Console(file=io.StringIO()), []) as shown:
        assert shown._left() == 0
