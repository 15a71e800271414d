"""The four models in NumPy; their derivations are in the files of :mod:`fastlogit.kernels`.

A model's `params` and `grads` are (W, b) or (W1, b1, W2, b2), its `work` what `epoch.allocate`
makes; `scale` is one over the sum of the batch's weights. OUT: grads, proba, work.
"""

from typing import Any

from fastlogit.reference import layers


class OneLayer:
    """A linear layer and an output loss; a subclass says which."""

    loss: Any
    proba: Any

    def loss_and_gradient(self, params, X, y, weight, scale, grads, work):
        """Return the batch's loss."""
        (W, b), (grad_W, grad_b), logits = params, grads, work[0][: X.shape[0]]

        layers.linear_forward(X, W, b, logits)  # Z
        loss = self.loss(logits, y, weight, scale)  # Z becomes dZ
        layers.linear_backward(X, logits, grad_W, grad_b)
        return loss

    def predict_proba(self, params, X, proba, work):
        """Fill the class probabilities."""
        (W, b), logits = params, work[0][: X.shape[0]]
        layers.linear_forward(X, W, b, logits)
        self.proba(logits, proba)


class OneHiddenLayer:
    """A hidden layer with its activation, (forward, derivative), a linear one, an output loss."""

    loss: Any
    proba: Any

    def __init__(self, activation):
        self.activation = activation

    def loss_and_gradient(self, params, X, y, weight, scale, grads, work):
        """Return the batch's loss."""
        (W1, b1, W2, b2), (grad_W1, grad_b1, grad_W2, grad_b2) = params, grads
        hidden, d_hidden, logits = (array[: X.shape[0]] for array in work)

        layers.hidden_forward(X, W1, b1, hidden)  # S
        layers.activate(self.activation, hidden)  # S becomes A
        layers.output_forward(hidden, W2, b2, logits)  # Z
        loss = self.loss(logits, y, weight, scale)  # Z becomes dZ
        layers.output_input_grad(logits, W2, d_hidden)  # dA
        layers.output_backward(hidden, logits, grad_W2, grad_b2)
        layers.activation_grad(self.activation, hidden, d_hidden)  # dA becomes dS
        layers.hidden_backward(X, d_hidden, grad_W1, grad_b1)
        return loss

    def predict_proba(self, params, X, proba, work):
        """Fill the class probabilities."""
        W1, b1, W2, b2 = params
        hidden, _, logits = (array[: X.shape[0]] for array in work)
        layers.hidden_forward(X, W1, b1, hidden)
        layers.activate(self.activation, hidden)
        layers.output_forward(hidden, W2, b2, logits)
        self.proba(logits, proba)


class LogisticOutput:
    """One output for two classes, σ."""

    loss = staticmethod(layers.logistic_loss)
    proba = staticmethod(layers.logistic_proba)


class SoftmaxOutput:
    """One output per class, softmax."""

    loss = staticmethod(layers.softmax_loss)
    proba = staticmethod(layers.softmax_proba)


class Logistic(OneLayer, LogisticOutput):
    """Logistic regression."""


class Softmax(OneLayer, SoftmaxOutput):
    """Softmax regression."""


class MLPLogistic(OneHiddenLayer, LogisticOutput):
    """One hidden layer, one output."""


class MLPSoftmax(OneHiddenLayer, SoftmaxOutput):
    """One hidden layer, K outputs."""
