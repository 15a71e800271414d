import numpy as np
import pytest

from fastlogit.benchmark.implementations import torch as module
from fastlogit.benchmark.implementations.torch import TorchImplementation
from fastlogit.benchmark.verification import compare, train_reference

if TorchImplementation.missing():
    pytest.skip(str(TorchImplementation.missing()), allow_module_level=True)

FORMS = list(module._FORMS)


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """Leave one of the two forms to choose from."""
    monkeypatch.setattr(module, "_FORMS", {request.param: module._FORMS[request.param]})
    return request.param


def test_both_forms_reach_the_reference_every_time(prepared, case, form):
    implementation, problem = prepared(TorchImplementation, case)
    assert implementation.variant() == form
    reference = train_reference(problem)
    for _ in range(2):
        implementation.run()
        agreement = compare(implementation.result(), reference, case)
        assert agreement.holds, str(agreement)
    assert {p.dtype for p in implementation.result().params} == {np.dtype(case.dtype)}


@pytest.mark.parametrize("rows", [1, 7, 50, 150, 1000])
def test_any_batch_size(prepared, sgd_case, with_batches, form, rows):
    case = with_batches(sgd_case, rows)
    implementation, problem = prepared(TorchImplementation, case)
    implementation.run()
    outcome, reference = implementation.result(), train_reference(problem)
    assert compare(outcome, reference, case).holds
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
    implementation, _ = prepared(TorchImplementation, sgd_case)
    assert implementation.variant() == faster


def test_threads_are_the_cases(prepared, sgd_case):
    import torch

    prepared(TorchImplementation, sgd_case)
    assert torch.get_num_threads() == sgd_case.threads
