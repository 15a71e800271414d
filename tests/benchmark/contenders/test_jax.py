import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.verify import compare, reference_outcome

if CONTENDERS["jax"].missing():
    pytest.skip(str(CONTENDERS["jax"].missing()), allow_module_level=True)


def test_it_reaches_the_reference_every_time_and_compiles_once(prepared, case):
    contender, problem = prepared("jax", case)
    reference = reference_outcome(problem)
    compilations = contender.compilations()
    for _ in range(2):
        contender.run()
        agreement = compare(contender.result(), reference, case.dtype)
        assert agreement.holds, str(agreement)
    assert contender.compilations() == compilations
    assert {p.dtype for p in contender.result().params} == {np.dtype(case.dtype)}


@pytest.mark.parametrize("rows", [1, 7, 50, 150, 1000])
def test_any_batch_size(prepared, sgd_case, in_batches, rows):
    case = in_batches(sgd_case, rows)
    contender, problem = prepared("jax", case)
    contender.run()
    outcome, reference = contender.result(), reference_outcome(problem)
    assert compare(outcome, reference, case.dtype).holds
    assert outcome.loss_curve == pytest.approx(reference.loss_curve, rel=1e-5)


def test_a_compilation_is_counted(prepared, sgd_case):
    import jax

    contender, _ = prepared("jax", sgd_case)
    before = contender.compilations()
    jax.jit(lambda x: x * 3 + 1)(2.0)
    assert contender.compilations() > before


def test_float64_is_of_its_own_cell_alone(prepared, sgd_case):
    import jax

    before = jax.config.jax_enable_x64
    contender, _ = prepared("jax", replace(sgd_case, dtype="float64"))
    contender.run()
    assert contender.result().params[0].dtype == np.float64
    assert jax.config.jax_enable_x64 == before


def test_an_older_jax_has_the_switch_elsewhere(prepared, sgd_case, monkeypatch):
    import jax

    from fastlogit.benchmark.contenders import jax as module

    scoped = jax.enable_x64
    monkeypatch.delattr(jax, "enable_x64")
    asked = []

    class Experimental:
        @staticmethod
        def enable_x64(on):
            asked.append(on)
            return scoped(on)

    monkeypatch.setattr(module, "import_module", {"jax.experimental": Experimental}.get)
    contender, _ = prepared("jax", sgd_case)
    contender.run()
    assert set(asked) == {False}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are listed in /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_xla_has_a_pool_of_the_threads_asked_for(threads):
    program = f"""
import os
os.environ["NPROC"] = "7"
os.environ.pop("PJRT_NPROC", None)
from fastlogit.benchmark.contenders import jax

def pool():
    tasks = os.listdir("/proc/self/task")
    return {{task for task in tasks if "XLAEigen" in open(f"/proc/self/task/{{task}}/comm").read()}}

jax._hold_threads(3)
before = pool()
for _ in range(2):
    jax._hold_threads({threads})
assert os.environ["NPROC"] == "7" and "PJRT_NPROC" not in os.environ
print(len(pool() - before))  # the former client's threads stay, with nothing to do
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert int(done.stdout) == threads
