import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fastlogit.benchmark.implementations.jax import JaxImplementation
from fastlogit.benchmark.verification import compare, train_reference

if JaxImplementation.missing():
    pytest.skip(str(JaxImplementation.missing()), allow_module_level=True)


def test_it_reaches_the_reference_every_time_and_compiles_once(prepared, case):
    implementation, problem = prepared(JaxImplementation, case)
    reference = train_reference(problem)
    compilations = implementation.compilations()
    for _ in range(2):
        implementation.run()
        agreement = compare(implementation.result(), reference, case)
        assert agreement.holds, str(agreement)
    assert implementation.compilations() == compilations
    assert {p.dtype for p in implementation.result().params} == {np.dtype(case.dtype)}


@pytest.mark.parametrize("rows", [1, 7, 50, 150, 1000])
def test_any_batch_size(prepared, sgd_case, with_batches, rows):
    case = with_batches(sgd_case, rows)
    implementation, problem = prepared(JaxImplementation, case)
    implementation.run()
    outcome, reference = implementation.result(), train_reference(problem)
    assert compare(outcome, reference, case).holds
    assert outcome.loss_curve == pytest.approx(reference.loss_curve, rel=1e-5)


def test_a_compilation_is_counted(prepared, sgd_case):
    import jax

    implementation, _ = prepared(JaxImplementation, sgd_case)
    before = implementation.compilations()
    jax.jit(lambda x: x * 3 + 1)(2.0)
    assert implementation.compilations() > before


def test_float64_is_of_its_own_case_alone(prepared, sgd_case):
    import jax

    before = jax.config.jax_enable_x64
    implementation, _ = prepared(JaxImplementation, replace(sgd_case, dtype="float64"))
    implementation.run()
    assert implementation.result().params[0].dtype == np.float64
    assert jax.config.jax_enable_x64 == before


def test_an_older_jax_has_the_switch_elsewhere(prepared, sgd_case, monkeypatch):
    import jax

    from fastlogit.benchmark.implementations import jax as module

    scoped = jax.enable_x64
    monkeypatch.delattr(jax, "enable_x64")
    asked = []

    class Experimental:
        @staticmethod
        def enable_x64(on):
            asked.append(on)
            return scoped(on)

    monkeypatch.setattr(module, "import_module", {"jax.experimental": Experimental}.get)
    implementation, _ = prepared(JaxImplementation, sgd_case)
    implementation.run()
    assert set(asked) == {False}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are listed in /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_xla_has_a_pool_of_the_threads_asked_for(threads):
    program = f"""
import os
from fastlogit.benchmark.implementations import jax

def pool():
    tasks = os.listdir("/proc/self/task")
    return {{task for task in tasks if "XLAEigen" in open(f"/proc/self/task/{{task}}/comm").read()}}

jax._hold_threads(3)
before = pool()
for _ in range(2):
    jax._hold_threads({threads})
print(len(pool() - before))  # the former client's threads stay, with nothing to do
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert int(done.stdout) == threads
