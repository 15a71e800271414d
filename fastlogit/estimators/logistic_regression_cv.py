"""LogisticRegressionCV: its arguments, the fits on folds, the choice among them, the last fit."""

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.linear_model import LogisticRegressionCV as _SklearnLogisticRegressionCV
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import validate_data

from fastlogit.estimators import full_batch, liblinear, sklearn_compat
from fastlogit.estimators.base import KernelClassifier, refuse_dask
from fastlogit.estimators.fast_path import encoded, plain_labels
from fastlogit.estimators.logistic_regression import LogisticRegression
from fastlogit.estimators.progress import FitCall
from fastlogit.estimators.regularization_path import Data, fit_path, score_path, warn_of_paths
from fastlogit.estimators.rows import apply_class_weight
from fastlogit.models import Floats
from fastlogit.solvers import warn
from fastlogit.sources import Source

# l1_ratio for a penalty that decides it.
L1_RATIOS = {"l2": 0.0, "l1": 1.0}


class Grid(NamedTuple):
    """What is tried: strengths Cs, and l1_ratios as given, or [None], for a penalty."""

    Cs: Any
    l1_ratios: Any
    penalty: str

    @property
    def effective_l1_ratios(self) -> list[Any]:
        """The l1_ratio of each fit."""
        return [L1_RATIOS.get(self.penalty, l1_ratio) for l1_ratio in self.l1_ratios]


class Paths(NamedTuple):
    """Results on F folds for L l1_ratios: coefs (F, L, n_Cs, K, dof), the others (F, L, n_Cs).

    dof is D or with an intercept D + 1, and K is 1 for two classes.
    """

    coefs: Floats
    scores: NDArray[np.float64]
    n_iter: NDArray[np.int32]


class LogisticRegressionCV(LogisticRegression, _SklearnLogisticRegressionCV):  # type: ignore[misc]
    """scikit-learn's LogisticRegressionCV, with the fits of all folds on the kernels.

    Arguments, fitted attributes and numbers are those of
    :class:`sklearn.linear_model.LogisticRegressionCV`, which documents them. Differences:

    - The kernels run the fits that they run for :class:`fastlogit.LogisticRegression`, whose
      notes on solvers, ``tol`` and ``n_iter_`` hold here too. If one combination of ``Cs`` and
      ``l1_ratios`` is not among them, scikit-learn's code runs the whole fit.
    - "lbfgs" stops where scikit-learn's does, at a gradient within ``tol``, in fewer iterations:
      along the path each fit starts with what the last has found of the curvature, and where 15
      iterations are not enough for dense X and up to 1024 weights, Newton steps follow. A fit that
      ``max_iter`` ends there is at the optimum here; its score may differ, and so may ``C_``.
    - The scores "accuracy", "balanced_accuracy", "neg_log_loss" and "roc_auc", and "precision",
      "recall" and "f1" with their averages "_macro" and "_weighted", are computed without a call of
      the scorer. It gives the same numbers, and may be any other.
    - The fits on folds warn once, with the folds and the values of C, instead of once each.
    - ``n_jobs`` shares the folds out to threads, which have X in common. Each copies the training
      rows of one fold at a time.

    Parameters
    ----------
    Cs, l1_ratios, fit_intercept, cv, dual, penalty, scoring, solver, tol, max_iter, class_weight, \
n_jobs, verbose, refit, intercept_scaling, random_state, use_legacy_attributes
        As in scikit-learn.
    n_threads : int, at least 1
        Maximum number of threads of each fit and of a prediction, as in LogisticRegression.

    Attributes
    ----------
    backend_ : {"numba", "scikit-learn"}
        The code that ran the last fit; the ``fastlogit`` logger reports at INFO level why it was
        scikit-learn's.
    model_ : {"logistic", "softmax"}
        The kernels' model, of two or of more classes; absent after a fit by scikit-learn's code.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlogit import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LogisticRegressionCV(
    ...     l1_ratios=(0,), scoring="accuracy", max_iter=1000, use_legacy_attributes=False
    ... ).fit(X, y)
    >>> round(clf.C_, 2), clf.scores_.shape, clf.backend_
    (21.54, (5, 1, 10), 'numba')
    >>> clf.predict(X[:2])
    array([0, 0])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnLogisticRegressionCV._parameter_constraints,
        "n_threads": sklearn_compat.ADDED_CONSTRAINTS["n_threads"],
    }

    # By class or not: see use_legacy_attributes.
    C_: Any
    l1_ratio_: Any
    coefs_paths_: Any
    scores_: Any

    def __init__(
        self, *, Cs: Any = 10, l1_ratios: Any = "warn", fit_intercept: bool = True, cv: Any = None,
        dual: bool = False, penalty: Any = "deprecated",
        scoring: Any = sklearn_compat.DEFAULT_SCORING, solver: str = "lbfgs", tol: float = 1e-4,
        max_iter: int = 100, class_weight: Any = None, n_jobs: Any = None, verbose: Any = 0,
        refit: bool = True, intercept_scaling: float = 1.0, random_state: Any = None,
        use_legacy_attributes: Any = "warn", n_threads: int = 1,
    ) -> None:  # fmt: skip
        _SklearnLogisticRegressionCV.__init__(
            self, Cs=Cs, l1_ratios=l1_ratios, fit_intercept=fit_intercept, cv=cv, dual=dual,
            penalty=penalty, scoring=scoring, solver=solver, tol=tol, max_iter=max_iter,
            class_weight=class_weight, n_jobs=n_jobs, verbose=verbose, refit=refit,
            intercept_scaling=intercept_scaling, random_state=random_state,
            use_legacy_attributes=use_legacy_attributes,
        )  # fmt: skip
        self.n_threads = n_threads

    @sklearn_compat.fit_context  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> Self:
        """Fit the model for each C and l1_ratio on each fold, then for the best on all rows.

        Ctrl-C leaves the estimator as it was before the call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Training rows.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        **params : dict
            Parameters of the splitter and the scorer, with metadata routing enabled.

        Returns
        -------
        self
            The fitted estimator.
        """
        if isinstance(X, Source):
            raise TypeError(
                f"X is a source, {X!r}, of which no folds are made: choose C on a sample of its "
                "rows, and fit LogisticRegression to all of them"
            )
        refuse_dask(X)
        call = FitCall(self, X, y, sample_weight)
        return self._fit_or_restore(call, X, y, sample_weight, **params)

    # Callbacks do not follow the fits on folds, nor do they in scikit-learn.
    def _run_fit(self, call: FitCall, X: Any, y: Any, sample_weight: Any, **params: Any) -> None:
        sklearn_compat.raise_for_params(params, self, "fit")
        if reason := call.waiting_reason or self._unsupported_reason():
            self._use_sklearn(reason, call)
            super(KernelClassifier, self).fit(X, y, sample_weight, **params)
            return
        grid, data = self._grid(), self._validated(X, y, sample_weight)
        estimators = self._estimators(grid)
        self._warn_of_deprecations()
        paths = self._score_paths(estimators, grid, data, params)
        self._use_kernels()
        self.Cs_, self.l1_ratios_ = grid.Cs, np.asarray(grid.l1_ratios)
        chosen = self._best_on_all_rows if self.refit else self._mean_of_best
        C, l1_ratio, coef = chosen(estimators, grid, data, paths)
        self.coef_ = np.ascontiguousarray(coef[:, : data.X.shape[1]])
        self.intercept_ = coef[:, -1].copy() if self.fit_intercept else np.zeros(len(coef))
        if self.use_legacy_attributes:  # "warn" is true
            self._set_legacy_attributes(C, l1_ratio, paths)
        else:
            self._set_attributes(C, l1_ratio, paths)

    @property
    def _draws(self) -> bool:  # type: ignore[override]
        return bool(self.solver == "liblinear" and self.dual)

    @property
    def _multiply_adds(self) -> float:  # type: ignore[override]
        n_folds = self.cv if isinstance(self.cv, Integral) else 5
        return float(4 * self.max_iter * n_folds * self._grid().Cs.size)

    def _grid(self) -> Grid:
        """Return what is tried, by the rules of scikit-learn."""
        Cs = np.logspace(-4, 4, self.Cs) if np.ndim(self.Cs) == 0 else np.asarray(self.Cs)
        given, penalty = self._given_l1_ratios, self.penalty
        if penalty == "deprecated":
            ratios = np.asarray([0.0] if given is None else given)
            pure = {"l2": np.all(ratios == 0), "l1": np.all(ratios == 1)}
            penalty = next((name for name, holds in pure.items() if holds), "elasticnet")
        return Grid(Cs, [None] if given is None else given, penalty)

    @property
    def _given_l1_ratios(self) -> Any:
        """``l1_ratios``, None for its default."""
        return None if isinstance(self.l1_ratios, str) else self.l1_ratios

    def _estimators(self, grid: Grid) -> list[LogisticRegression]:
        """Return an estimator for each l1_ratio, whose C is still to be set.

        They are not fitted by their own ``fit``, which would warn of the penalty.
        """
        names = (
            "dual", "fit_intercept", "intercept_scaling", "max_iter", "n_threads", "random_state",
            "solver", "tol", "verbose",
        )  # fmt: skip
        arguments = {name: getattr(self, name) for name in names}
        return [
            LogisticRegression(grid.penalty, l1_ratio=l1_ratio, **arguments)
            for l1_ratio in grid.effective_l1_ratios
        ]

    def _unsupported_reason(self, _X: Any = None, _y: Any = None) -> str | None:
        """Return why the kernels do not support a fit, whatever X and y, None if they do.

        Arguments that are not valid are not supported: scikit-learn's code raises the error.
        """
        grid = self._grid()
        ratios = grid.effective_l1_ratios
        if not (ratios and all(isinstance(r, Real) and 0 <= float(r) <= 1 for r in ratios)):
            return f"l1_ratios={self.l1_ratios!r}, the kernels support numbers from 0 to 1"
        are_numbers = grid.Cs.ndim == 1 and grid.Cs.size > 0 and grid.Cs.dtype.kind in "fiu"
        if not (are_numbers and (grid.Cs > 0).all()):
            return f"Cs={self.Cs!r}, the kernels support numbers above 0"
        for estimator in self._estimators(grid):
            for estimator.C in {grid.Cs.min(), grid.Cs.max()}:  # an infinite one is a case apart
                if reason := estimator._unsupported_reason():
                    return reason
        return None

    def _warn_of_deprecations(self) -> None:
        """Issue scikit-learn's warnings of what changes, where its own code does not run."""
        name = type(self).__name__
        if isinstance(self.l1_ratios, str):
            text = "The default value for l1_ratios will change from None to (0.0,) in"
            warn(f"{text} scikit-learn 1.10; set it explicitly, l1_ratios=(0,)", FutureWarning)
        elif self.l1_ratios is None and self.penalty == "deprecated":
            text = "'l1_ratios=None' was deprecated in scikit-learn 1.8 and will raise an error in"
            warn(f"{text} 1.10; set it to (0,), the same", FutureWarning)
        if self.penalty != "deprecated":
            text = "'penalty' was deprecated in scikit-learn 1.8 and will be removed in 1.10"
            instead = "l1_ratios=(0,) is 'l2', (1,) is 'l1', and numbers between are 'elasticnet'"
            warn(f"{text}; leave it out: {instead}", FutureWarning)
            if self._given_l1_ratios is not None and self.penalty != "elasticnet":
                text = "l1_ratios parameter is only used when penalty is 'elasticnet'"
                warn(f"{text}, got penalty={self.penalty!r}", UserWarning)
        if isinstance(self.scoring, str) and self.scoring == "warn":
            text = "The default value of the parameter 'scoring' will change from None, i.e."
            instead = "set scoring='accuracy' or 'neg_log_loss'"
            warn(
                f"{text} accuracy, to 'neg_log_loss' in scikit-learn 1.11; {instead}", FutureWarning
            )
        if isinstance(self.use_legacy_attributes, str):
            text = f"The fitted attributes of {name} will be simplified in scikit-learn 1.10"
            change = "The default value of use_legacy_attributes will change from True to False"
            warn(f"{text}. {change}; set either to silence this warning", FutureWarning)

    def _validated(self, X: Any, y: Any, sample_weight: Any) -> Data:
        """Return the rows after scikit-learn's validation, and set the classes."""
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float64, order="C",
            accept_large_sparse=self.solver not in full_batch.OPTIMUM_SOLVERS,
        )  # fmt: skip
        labels = plain_labels(X, y)
        if labels is None:
            check_classification_targets(y)
            labels = encoded(y)
        self.classes_, indices = labels
        if len(self.classes_) < 2:
            text = "This solver needs samples of at least 2 classes in the data, but the data"
            raise ValueError(f"{text} contains only one class: {self.classes_[0]}.")
        if self.solver == "liblinear":
            liblinear.check(self.classes_, X)
        if isinstance(self.class_weight, dict) and not {*self.class_weight} <= {*self.classes_}:
            text = "The given class_weight dict must have the class labels as keys"
            found = f"classes={self.classes_} but key={self.class_weight.keys()}"
            raise ValueError(f"{text}; {found}")
        if sample_weight is not None:
            sample_weight = sklearn_compat.check_sample_weight(sample_weight, X, dtype=np.float64)
        weight = apply_class_weight(self.class_weight, self.classes_, indices, sample_weight)
        return Data(X, y, indices, self.classes_, sample_weight, weight)

    def _score_paths(
        self, estimators: list[LogisticRegression], grid: Grid, data: Data, params: dict[str, Any]
    ) -> Paths:
        """Return the paths of all folds and l1_ratios."""
        splitting, scoring_params = self._routed(data, params)
        splitter = check_cv(self.cv, data.labels, classifier=True)
        folds = list(splitter.split(data.X, data.labels, **splitting))
        scoring = None if self._is_default_scoring else self.scoring
        names = getattr(self, "feature_names_in_", None)
        for estimator in estimators:
            estimator.classes_, estimator.n_features_in_ = self.classes_, self.n_features_in_
            estimator.backend_ = "numba"
            if names is not None:  # for a warning
                estimator.feature_names_in_ = names

        def of_folds(folds: Any, guides: list[Any]) -> list[Any]:
            return Parallel(n_jobs=self.n_jobs, verbose=self.verbose, prefer="threads")(  # type: ignore[no-any-return]
                delayed(score_path)(
                    estimator, grid.Cs, data, train, test, scoring,
                    sklearn_compat.params_of_rows(X=data.X, params=scoring_params, indices=test),
                    guide,
                )
                for train, test in folds
                for estimator, guide in zip(estimators, guides, strict=True)
            )  # fmt: skip

        results = of_folds(folds[:1], [None] * len(estimators))
        results += of_folds(folds[1:], [path.coefs for path in results])
        numbers = [f"fold {n + 1} of {len(folds)}" for n in range(len(folds)) for _ in estimators]
        warn_of_paths(grid.Cs, numbers, results)
        return Paths(*(
            np.reshape([getattr(path, name) for path in results],
                       (len(folds), len(estimators), *np.shape(getattr(results[0], name))))
            for name in Paths._fields
        ))  # fmt: skip

    @property
    def _is_default_scoring(self) -> bool:
        return isinstance(self.scoring, str) and self.scoring == "warn"

    def _routed(self, data: Data, params: dict[str, Any]) -> tuple[Any, Any]:
        """Return the arguments of the splitter and the scorer."""
        weight = data.sample_weight
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=weight, **params)
            return routed.splitter.split, routed.scorer.score
        return {}, {} if weight is None else {"sample_weight": weight}

    def _best_on_all_rows(
        self, estimators: list[LogisticRegression], grid: Grid, data: Data, paths: Paths
    ) -> tuple[Any, Any, Floats]:
        """Return the C and l1_ratio of the best mean score, and coef (K, dof) of a fit with them.

        The fit begins at the folds' mean.
        """
        scores = paths.scores.sum(axis=0).T  # (n_Cs, L)
        i, n = np.unravel_index(np.argmax(scores), scores.shape)
        mean = paths.coefs[:, n, i].mean(axis=0)
        D, estimator = data.X.shape[1], estimators[n]
        estimator.verbose = max(0, self.verbose - 1)
        bias = mean[:, D] if self.fit_intercept else np.zeros(len(mean))
        rows, C = data.training_rows(slice(None)), grid.Cs[i]
        params, _ = next(iter(fit_path(estimator, [C], rows, (mean[:, :D].T.copy(), bias))))
        return C, grid.l1_ratios[n], np.column_stack([params[0].T, params[1]])

    def _mean_of_best(
        self, _estimators: list[LogisticRegression], grid: Grid, _data: Data, paths: Paths
    ) -> tuple[Any, Any, Floats]:
        """Return the means over folds of the best C and l1_ratio in each, and of its coef."""
        n_folds = len(paths.scores)
        scores = np.swapaxes(paths.scores, 1, 2).reshape(n_folds, -1)  # (F, n_Cs · L)
        i, n = np.unravel_index(scores.argmax(axis=1), (len(grid.Cs), len(grid.l1_ratios)))
        coef = paths.coefs[np.arange(n_folds), n, i].mean(axis=0)
        mixed = grid.penalty == "elasticnet"
        l1_ratio = np.mean(np.asarray(grid.l1_ratios)[n]) if mixed else 0.0
        return np.mean(grid.Cs[i]), l1_ratio, coef

    def _set_attributes(self, C: Any, l1_ratio: Any, paths: Paths) -> None:
        """Set the attributes whose shapes scikit-learn will keep."""
        if self._given_l1_ratios is None:
            l1_ratio = L1_RATIOS.get(self.penalty, 0.0)
        self.C_, self.l1_ratio_ = float(C), float(l1_ratio)
        self.coefs_paths_, self.scores_, self.n_iter_ = paths

    def _set_legacy_attributes(self, C: Any, l1_ratio: Any, paths: Paths) -> None:
        """Set the attributes by class, with the l1_ratios behind the Cs or, if None, left out."""
        labels = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        coefs = np.moveaxis(paths.coefs, (3, 2), (0, 2))  # (K, F, n_Cs, L, dof)
        scores, n_iter = np.swapaxes(paths.scores, 1, 2), np.swapaxes(paths.n_iter, 1, 2)
        if self._given_l1_ratios is None:
            coefs, scores, n_iter = coefs[:, :, :, 0], scores[:, :, 0], n_iter[:, :, 0]
        self.C_, self.l1_ratio_ = np.tile(C, len(labels)), np.tile(l1_ratio, len(labels))
        self.coefs_paths_ = dict(zip(labels, coefs, strict=True))
        self.scores_ = {label: scores.copy() for label in labels}
        self.n_iter_ = n_iter[None]
