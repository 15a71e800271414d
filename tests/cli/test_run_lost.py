"""``fastlogit bench run`` that is killed, interrupted, or loses what it measures with."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")

CELLS = ("-m", "softmax", "-m", "logistic", "-d", "iris", "-d", "wine")
RUN = ("bench", "run", *CELLS, "-i", "numpy", "--epochs", "20", "--repeats", "3")


def start(program, tmp_path, *arguments, **options):
    return subprocess.Popen(  # noqa: S603
        [*program, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(program, tmp_path, *arguments):
    process = start(program, tmp_path, *arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def wait_for(process, beginning):
    for line in process.stderr:
        if line.startswith(beginning):
            return
    raise AssertionError("the process ended")


def only_run(tmp_path):
    (run,) = (tmp_path / "results").iterdir()
    return run


def check_complete(run, repeats=3):
    timings = pd.read_csv(run / "timings.csv")
    cells = [f"{m}/{d}/sgd" for m in ("softmax", "logistic") for d in ("iris", "wine")]
    measured = ["/".join(cell.split("/")[:3]) for cell in timings["cell_id"]]
    assert measured == [cell for cell in cells for _ in range(repeats)]
    assert list(timings["repeat"]) == list(range(repeats)) * 4
    curves = pd.read_csv(run / "curves.csv")
    assert set(curves["cell_id"]) == set(timings["cell_id"])
    assert not curves.duplicated(["cell_id", "impl", "epoch"]).any()
    assert len(pd.read_csv(run / "summary.csv")) == 4
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == "complete"
    assert set(facts["target_loss"]) == set(timings["cell_id"])
    assert not list(run.glob("*.partial"))
    return facts


def children(pid):
    return [
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if (path / "stat").exists()
        and (path / "stat").read_text().rpartition(")")[2].split()[1] == str(pid)
    ]


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_is_finished_later(program, tmp_path):
    process = start(program, tmp_path, *RUN)
    wait_for(process, "[5/8] round 2 of 2, ")
    offspring = children(process.pid) if Path("/proc/self/stat").exists() else []
    process.kill()
    process.communicate()
    run = only_run(tmp_path)
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == "running"
    kept = pd.read_csv(run / "timings.csv.partial")
    assert len(kept) >= 4 * 2 + 1

    code, out, err = finish(program, tmp_path, *RUN, "--resume")
    assert code == 0, err
    assert f"going on with results/{run.name}, which has " in err
    assert only_run(tmp_path) == run
    facts = check_complete(run)
    times = pd.read_csv(run / "timings.csv")["time_s"]
    assert set(kept["time_s"]) < set(times) | {0}
    (resumed,) = facts["resumed"]
    assert resumed["cells_kept"] == 4
    assert 4 * 2 + 1 <= resumed["repeats_kept"] < 4 * 3
    assert resumed["command"][-1] == "--resume"
    assert pd.Timestamp(facts["started"]) <= pd.Timestamp(resumed["at"])
    assert re.search("softmax,? +iris", out)  # measured before it was killed, shown all the same

    end = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in offspring) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in offspring if Path(f"/proc/{pid}").exists()]

    code, _, err = finish(program, tmp_path, *RUN, "--resume")
    assert code == 0
    assert "results has no unfinished run; starting a new one" in err
    assert len(list((tmp_path / "results").iterdir())) == 2


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_keeps_whole_cells(program, tmp_path):
    process = start(program, tmp_path, *RUN, start_new_session=True)
    wait_for(process, "[1/8] ")
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    out, err = process.communicate()
    assert process.returncode == 130
    run = only_run(tmp_path)
    assert err.splitlines()[-2:] == [
        f"interrupted; what was measured is in results/{run.name}",
        f"go on with: fastlogit {' '.join(RUN)} --resume",
    ]
    assert "Traceback" not in err
    assert re.search("softmax,? +iris", out)
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert finish(program, tmp_path, *RUN, "--resume")[0] == 0
    check_complete(run)


@pytest.mark.slow
def test_who_hangs_or_crashes_costs_its_place_and_a_timeout_ends_with_124(program, tmp_path):
    code, out, err = finish(
        *(program, tmp_path, *("bench", "run", "-m", "softmax", "-d", "iris", "--epochs", "2")),
        *("--repeats", "2", "--timeout", "20", "-i", "hangs-in-c", "-i", "leaves", "-i", "numpy"),
    )
    assert code == 124
    assert "hangs-in-c failed, leaves failed, numpy " in err
    assert ": failed: timeout after 20 s" in out
    assert ": failed: the measuring process ended with exit code 7" in out
    timings = pd.read_csv(only_run(tmp_path) / "timings.csv")
    assert list(timings["status"]) == ["failed", "failed", "ok", "ok"]
    assert json.loads((only_run(tmp_path) / "run.json").read_text())["status"] == "complete"


@pytest.mark.slow
def test_what_contenders_print_is_not_seen(program, tmp_path):
    code, out, err = finish(
        *(program, tmp_path, *("bench", "run", "-m", "softmax", "-d", "iris", "--epochs", "2")),
        *("--repeats", "2", "-i", "chatters", "--json"),
    )
    assert code == 0
    assert "chatter on" not in out + err
    assert [record["impl"] for record in json.loads(out)] == ["chatters"]
