"""PyTorch, eager, by autograd or with the gradient written out: whichever is faster in a case.

Both forms gather an epoch's rows at once and cut them into batches, which is faster than a gather
a batch, and keep all parameters in one flat tensor, so that a step of the optimizer is the same few
calls for every model.
"""

import math
import time
from itertools import accumulate, pairwise
from typing import Any, ClassVar

from fastlogit.benchmark.implementations.base import SameSteps
from fastlogit.benchmark.implementations.rules import ADAM, adam_rates
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.models import MODELS

# A tensor's method, and the operator that makes the gradient of S of that of A, and of A itself.
_ACTIVATIONS = {
    "logistic": ("sigmoid_", lambda torch, d_A, A: torch.ops.aten.sigmoid_backward(d_A, A)),
    "relu": ("relu_", lambda torch, d_A, A: torch.ops.aten.threshold_backward(d_A, A, 0)),
    "tanh": ("tanh_", lambda torch, d_A, A: torch.ops.aten.tanh_backward(d_A, A)),
    "identity": ("contiguous", lambda _torch, d_A, _A: d_A),
}
# To choose a form: so many steps of each, in turns, and the best of so many rounds.
_TRIAL_STEPS, _TRIAL_ROUNDS = 30, 5


class TorchImplementation(SameSteps):
    """Eager PyTorch in the faster of two forms."""

    name = "torch"
    rank = 30
    distribution = module = "torch"
    covers: ClassVar[dict[str, tuple[str, ...]]] = SameSteps.covers | {
        "activation": tuple(_ACTIVATIONS)
    }

    def prepare(self, problem: Problem) -> None:
        """Make tensors of the rows, the labels and the order."""
        import torch

        case = problem.case
        torch.set_num_threads(case.threads)
        super().prepare(problem)
        self._X = torch.tensor(problem.X)
        self._y = torch.tensor(problem.y)
        if MODELS[case.model].binary:
            self._y = self._y.to(self._X.dtype)[:, None]
        self._orders = torch.tensor(problem.order)
        epochs, n = problem.order.shape
        self._rates = adam_rates(case.learning_rate, epochs * -(-n // case.batch_size)).tolist()

    def first_call(self) -> None:
        """Try both forms on a few steps, in turns, and keep the faster."""
        rows = self._orders[:1, : _TRIAL_STEPS * self.problem.case.batch_size]
        seconds = dict.fromkeys(_FORMS, math.inf)
        for _ in range(_TRIAL_ROUNDS):
            for self._form in _FORMS:
                start = time.perf_counter()
                self.rewind()
                self._train(rows)
                seconds[self._form] = min(seconds[self._form], time.perf_counter() - start)
        self._form = min(seconds, key=seconds.__getitem__)

    def variant(self) -> str:
        """Return which of the two forms runs."""
        return self._form

    def rewind(self) -> None:
        """Copy the initial parameters into one flat tensor, and start its moments at zero."""
        import torch

        start = self.problem.params
        self._flat = torch.cat([torch.tensor(array).ravel() for array in start])
        self._gradient = torch.empty_like(self._flat)
        self._moments = torch.zeros(2, len(self._flat), dtype=self._flat.dtype)
        shapes = [array.shape for array in start]
        self._params, self._grads = _views(self._flat, shapes), _views(self._gradient, shapes)
        for array in self._params:
            array.requires_grad_(self._form == "autograd")
        self._next_rates, self._losses = iter(self._rates), list[float]()

    def advance(self, epochs: int) -> None:
        """Train on in the chosen form."""
        done = len(self._losses)
        self._train(self._orders[done : done + epochs])

    def result(self) -> Outcome:
        """Copy the parameters out of the flat tensor."""
        arrays = tuple(array.detach().numpy().copy() for array in self._params)
        return Outcome(arrays, tuple(loss / len(self._X) for loss in self._losses))

    def _train(self, orders: Any) -> None:
        """Train on the rows of each order, and note each epoch's summed loss."""
        import torch

        case = self.problem.case
        flat, gradient, step = self._flat, self._gradient, _FORMS[self._form]
        model, activation = MODELS[case.model], _ACTIVATIONS[case.activation]
        kind = torch, model.binary, activation
        with torch.no_grad():
            for order in orders:
                batches = (of[order].split(case.batch_size) for of in (self._X, self._y))
                sums = []
                for X, y in zip(*batches, strict=True):
                    sums.append(step(*kind, self._params, X, y, gradient, self._grads))
                    if case.solver == "adam":
                        _adam(flat, gradient, self._moments, next(self._next_rates))
                    else:
                        flat.sub_(gradient, alpha=case.learning_rate)
                self._losses.append(torch.stack(sums).double().sum().item())


def _views(flat: Any, shapes: list[tuple[int, ...]]) -> list[Any]:
    ends = accumulate(map(math.prod, shapes), initial=0)
    cuts = zip(pairwise(ends), shapes, strict=True)
    return [flat[first:last].view(shape) for (first, last), shape in cuts]


def _autograd(
    torch: Any, binary: bool, activation: Any, params: Any, X: Any, y: Any, gradient: Any,
    _grads: Any,
) -> Any:  # fmt: skip
    """Return the sum of the batch's losses. OUT: gradient of their mean."""
    functional = torch.nn.functional
    *hidden, W, b = params
    with torch.enable_grad():
        A = getattr(torch.addmm(hidden[1], X, hidden[0]), activation[0])() if hidden else X
        logits = torch.addmm(b, A, W)
        loss = functional.binary_cross_entropy_with_logits if binary else functional.cross_entropy
        mean = loss(logits, y)
        by_array = torch.autograd.grad(mean, params)
    torch.cat([grad.ravel() for grad in by_array], out=gradient)
    return mean.detach() * len(X)


def _written_out(
    torch: Any, binary: bool, activation: Any, params: Any, X: Any, y: Any, _gradient: Any,
    grads: Any,
) -> Any:  # fmt: skip
    """Return the sum of the batch's losses. OUT: grads, of their mean.

    The steps are those of the kernels, in as few calls as PyTorch has for them.
    """
    functional = torch.nn.functional
    *hidden, W, b = params
    A = getattr(torch.addmm(hidden[1], X, hidden[0]), activation[0])() if hidden else X
    logits = torch.addmm(b, A, W)
    if binary:
        loss = functional.binary_cross_entropy_with_logits(logits, y, reduction="sum")
        d_logits = logits.sigmoid_().sub_(y)
    else:
        log_proba = functional.log_softmax(logits, 1)
        loss = functional.nll_loss(log_proba, y, reduction="sum")
        d_logits = log_proba.exp_().scatter_add_(1, y[:, None], X.new_full((len(X), 1), -1))
    d_logits /= len(X)
    torch.mm(A.t(), d_logits, out=grads[-2])
    torch.sum(d_logits, 0, out=grads[-1])
    if hidden:
        d_hidden = activation[1](torch, d_logits.mm(W.t()), A)
        torch.mm(X.t(), d_hidden, out=grads[0])
        torch.sum(d_hidden, 0, out=grads[1])
    return loss


_FORMS = {"written out": _written_out, "autograd": _autograd}


def _adam(flat: Any, gradient: Any, moments: Any, rate: float) -> None:
    """Step as the package's Adam does; torch.optim's adds ε elsewhere. OUT: flat, moments."""
    first, second = moments
    first.lerp_(gradient, 1 - ADAM.beta_1)
    second.mul_(ADAM.beta_2).addcmul_(gradient, gradient, value=1 - ADAM.beta_2)
    flat.addcdiv_(first, second.sqrt().add_(ADAM.epsilon), value=-rate)
