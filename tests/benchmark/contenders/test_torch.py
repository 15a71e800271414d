import numpy as np
import pytest

from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.contenders import torch as module
from fastlogit.benchmark.verify import compare, reference_outcome

if CONTENDERS["torch"].missing():
    pytest.skip(str(CONTENDERS["torch"].missing()), allow_module_level=True)

FORMS = list(module._FORMS)


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """Leave one of the two forms to choose from."""
    monkeypatch.setattr(module, "_FORMS", {request.param: module._FORMS[request.param]})
    return request.param


def test_both_forms_reach_the_reference_every_time(prepared, case, form):
    contender, problem = prepared("torch", case)
    assert contender.form() == form
    reference = reference_outcome(problem)
    for _ in range(2):
        contender.run()
        agreement = compare(contender.result(), reference, case.dtype)
        assert agreement.holds, str(agreement)
    assert {p.dtype for p in contender.result().params} == {np.dtype(case.dtype)}


@pytest.mark.parametrize("rows", [1, 7, 50, 150, 1000])
def test_any_batch_size(prepared, sgd_case, in_batches, form, rows):
    case = in_batches(sgd_case, rows)
    contender, problem = prepared("torch", case)
    contender.run()
    outcome, reference = contender.result(), reference_outcome(problem)
    assert compare(outcome, reference, case.dtype).holds
    assert outcome.loss_curve == pytest.approx(reference.loss_curve, rel=1e-5)


@pytest.mark.parametrize("faster", FORMS)
def test_the_faster_form_is_kept(prepared, sgd_case, monkeypatch, faster):
    now = 0.0
    forms = {
        name: lambda *args, name=name, step=step: tick(name, step, args)
        for name, step in module._FORMS.items()
    }

    def tick(name, step, args):
        nonlocal now
        now += 1.0 if name == faster else 1.1
        return step(*args)

    monkeypatch.setattr(module, "_FORMS", forms)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    contender, _ = prepared("torch", sgd_case)
    assert contender.form() == faster


def test_threads_are_the_cases(prepared, sgd_case):
    import torch

    prepared("torch", sgd_case)
    assert torch.get_num_threads() == sgd_case.threads
