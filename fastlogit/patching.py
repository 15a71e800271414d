"""fastlogit's classes under scikit-learn's names, for programs whose imports stay as they are.

The names are bound to our classes in scikit-learn's public modules, and wherever else a loaded
module has bound them. scikit-learn's own classes stay where they are defined, so that pickles of
their instances are written and read as ever; ours are pickled under their own names. While the
patch is on, ``isinstance`` and ``issubclass`` count scikit-learn's class among ours: they have one
name.
"""

import importlib
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Where scikit-learn's classes of our names are public.
HOMES = ("sklearn.linear_model", "sklearn.neural_network")

_replaced: list[tuple[ModuleType, str]] = []  # where our classes have been put


def patch_sklearn() -> None:
    """Put fastlogit's classes in the place of scikit-learn's of the same names.

    They are those of ``fastlogit.__all__``. It may be called before scikit-learn is imported, which
    then loads them with it, or after: names that loaded modules hold are bound anew. A second call
    covers what has been imported otherwise since the first.

    Not reached are estimators that exist already, scikit-learn's classes in containers, defaults of
    functions, closures or as bases of other classes, imports from scikit-learn's private modules,
    and other processes: those of joblib receive estimators of the patched one, and fit these by
    fastlogit, but import scikit-learn's own.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.patch_sklearn()
    >>> from sklearn.linear_model import LogisticRegression
    >>> LogisticRegression is fastlogit.LogisticRegression
    True
    >>> fastlogit.unpatch_sklearn()
    """
    if any(home in sys.modules for home in HOMES):
        _replace_all()
    elif not any(isinstance(finder, _LoadHook) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LoadHook())


def unpatch_sklearn() -> None:
    """Undo :func:`patch_sklearn`, if it has been called.

    Every name that it has bound anew is bound to scikit-learn's class again, and so are the names
    of scikit-learn's modules that were imported since. Other modules keep what they have imported
    in the meantime.

    Examples
    --------
    >>> import fastlogit
    >>> fastlogit.patch_sklearn()
    >>> fastlogit.unpatch_sklearn()
    >>> from sklearn.linear_model import LogisticRegression
    >>> LogisticRegression is fastlogit.LogisticRegression
    False
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _LoadHook)]
    if not _replaced:
        return
    pairs = _pairs()
    later = [
        (module, name)
        for module, name, _ in _bindings(pairs)
        if module.__name__.partition(".")[0] == "sklearn"
    ]
    theirs_of = {id(ours): theirs for ours, theirs in pairs.items()}
    for module, name in [*_replaced, *later]:
        if theirs := theirs_of.get(id(vars(module).get(name))):
            setattr(module, name, theirs)
    _replaced.clear()
    for ours in pairs:
        del ours._stands_for


def _pairs() -> dict[Any, Any]:
    """Return scikit-learn's class for each of ours."""
    from fastlogit.support import CLASSES, original

    return {ours: original(ours) for ours in CLASSES.values()}


def _replace_all() -> None:
    """Bind to our classes every name of a loaded module that is bound to scikit-learn's."""
    ours_of = {theirs: ours for ours, theirs in _pairs().items()}
    for module, name, theirs in list(_bindings(ours_of)):
        if module.__name__ != theirs.__module__:  # where pickle looks the class up
            setattr(module, name, ours_of[theirs])
            _replaced.append((module, name))
    for theirs, ours in ours_of.items():
        ours._stands_for = theirs


def _bindings(classes: Collection[Any]) -> Iterator[tuple[ModuleType, str, Any]]:
    """Yield the modules' names that are bound to one of the classes, fastlogit's own left out."""
    known = set(map(id, classes))  # what else is bound need not be hashable
    modules: list[Any] = list(sys.modules.values())
    for module in modules:
        if not isinstance(module, ModuleType):  # anything may be there
            continue
        # Any other access would load a module that waits for its first use.
        names: dict[str, Any] = object.__getattribute__(module, "__dict__")
        if str(names.get("__name__")).partition(".")[0] != "fastlogit":
            for name, value in list(names.items()):
                if id(value) in known:
                    yield module, name, value


class _LoadHook(MetaPathFinder):
    """Waits until one of the homes or our estimators are imported, and then binds our classes.

    So a program still sets environment variables before it imports NumPy, and one that does without
    scikit-learn does not wait for it. The import that comes first has to end, since it may be one
    of ours: that of the estimators loads the homes.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that the other finders have, with a loader that binds our classes."""
        if name not in (*HOMES, "fastlogit.estimators"):
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        loader: Any = None if spec is None else spec.loader
        if loader is None:
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            if self not in sys.meta_path:  # another import came first
                execute(module)
                return
            sys.meta_path.remove(self)
            try:
                execute(module)
            except BaseException:
                sys.meta_path.insert(0, self)
                raise
            for home in HOMES:
                importlib.import_module(home)
            _replace_all()

        loader.exec_module = exec_module
        return spec
