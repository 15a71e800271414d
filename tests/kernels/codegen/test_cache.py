"""The compile cache, in processes of their own with a cache directory of their own."""

import compileall
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import fastlogit
from fastlogit.kernels.codegen import cache as disk
from fastlogit.kernels.codegen import compiler, linking, objects
from fastlogit.kernels.logistic import Logistic
from fastlogit.kernels.training import epoch

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
PACKAGE = Path(fastlogit.__file__).parent
# σ(ln 3) = 3/4; the entry point that compiles fastest.
PROGRAM = """
import json, math, numpy, sys, fastlogit
from fastlogit.kernels.codegen import cache

proba = fastlogit.predict_proba("logistic", ([[1.0]], [0.0]), [[math.log(3)]])
print(json.dumps({
    "proba": proba.ravel().tolist(),
    **cache.counts,
    "compilations": cache.compilations(),
    "imported": "numba" in sys.modules,
    "home": fastlogit.__file__,
}))
"""
RIGHT = pytest.approx([0.25, 0.75], rel=1e-15)


def run(cache, package=PACKAGE):
    search = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": search, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=package.parent,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert Path(result["home"]).parent == package
    return result


def entries(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Fill a cache from two processes that start cold at once."""
    cache = tmp_path_factory.mktemp("cache")
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(run, [cache, cache]))
    for result in both:
        assert result["proba"] == RIGHT
        assert result["compiled"] + result["loaded"] == len(entries(cache))
    assert any(result["compiled"] for result in both)
    return cache


@pytest.fixture
def cache(warm, tmp_path):
    """Return a copy of the warm cache that a test may spoil."""
    return Path(shutil.copytree(warm, tmp_path / "cache"))


def test_a_second_process_compiles_nothing(warm):
    before = {path: path.read_bytes() for path in entries(warm)}
    assert before
    assert not [path for path in before if path.suffix != ".bin"], "a half-written entry was left"
    result = run(warm)
    assert result["proba"] == RIGHT
    assert (result["loaded"], result["compiled"]) == (len(before), 0)
    assert result["compilations"] == len(before)
    assert not result["imported"], "what is compiled is loaded without the compiler"
    assert {path: path.read_bytes() for path in entries(warm)} == before


def test_an_edit_to_any_kernel_source_is_seen(cache, tmp_path):
    """The entry point stands in epoch.py, and what it compiles to comes from other files."""
    package = tmp_path / "copy" / "fastlogit"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    same = run(cache, package)
    assert same["proba"] == RIGHT
    assert same["compiled"] == 0, "the same sources elsewhere share the cache"
    heads = package / "kernels/layers/output_losses.py"
    source = heads.read_text()
    heads.write_text(
        f"{source}\n\n@kernel\ndef logistic_proba(logits, proba):\n    proba[:, 0] = 0.5\n"
        "    proba[:, 1] = 0.125\n"
    )
    edited = run(cache, package)
    assert edited["proba"] == [0.5, 0.125]
    assert edited["compiled"] > 0
    heads.write_text(source)
    back = run(cache, package)
    assert back["proba"] == RIGHT
    assert back["compiled"] == 0


def test_every_source_is_in_the_stamp(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    shutil.copytree(PACKAGE / "kernels", folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(disk.resources, "files", lambda _package: folder)
    stamp = disk.source_stamp.__wrapped__
    seen = {stamp()}
    for path in sorted(folder.rglob("*.py")):
        path.write_text(path.read_text() + "\n")
        seen.add(stamp())
    (folder / "layers/dense.py").rename(folder / "layers/products.py")
    seen.add(stamp())
    assert len(seen) == len(list(folder.rglob("*.py"))) + 2


def test_spoilt_entries_only_cost_time(cache):
    for path in entries(cache):
        path.write_bytes(path.read_bytes()[:1000])
    result = run(cache)
    assert result["proba"] == RIGHT
    assert result["compiled"] == len(entries(cache))
    assert run(cache)["compiled"] == 0, "what was spoilt is replaced"


def test_an_unwritable_directory_only_costs_time(tmp_path):
    blocked = tmp_path / "a file"
    blocked.touch()
    result = run(blocked / "cache")
    assert result["proba"] == RIGHT
    assert result["compiled"] > 0
    assert blocked.is_file()


def test_compilations_counts_new_signatures_once():
    def predict(dtype):
        X, proba = np.ones((1, 1), dtype), np.empty((1, 2), dtype)
        params = X, np.zeros(1, dtype)
        epoch.predict_proba(epoch.allocate(params, 1), Logistic(), params, X, proba)
        return X, proba, params

    X, proba, params = predict(float)
    before = disk.compilations()
    X.flags.writeable = False  # of the same type
    epoch.predict_proba(epoch.allocate(params, 1), Logistic(), params, X, proba)
    assert disk.compilations() == before
    predict(np.float32)
    known = len(epoch.predict_proba.signatures)
    predict(float)
    predict(np.float32)
    assert len(epoch.predict_proba.signatures) == known >= 2


def double(x):
    return 2 * x


def test_what_an_interrupt_stopped_is_provided_again(monkeypatch):
    compile_it, calls = compiler.compile_linked, []

    def interrupted(symbol):
        calls.append(symbol)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return compile_it(symbol)

    monkeypatch.setattr(disk, "cache_directory", lambda: None)
    monkeypatch.setattr(compiler, "compile_linked", interrupted)
    monkeypatch.setattr(objects, "_addresses", {})
    with pytest.raises(KeyboardInterrupt):
        linking.provide_linked("fastlogit.relu.d2")
    linking.provide_linked("fastlogit.relu.d2")
    linking.provide_linked("fastlogit.relu.d2")
    assert calls == ["fastlogit.relu.d2"] * 2


def test_a_user_without_a_home_has_a_cache_in_the_package_or_none(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(disk.Path, "home", no_home)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def unwritable(**_):
        raise OSError

    monkeypatch.setattr(disk.Path, "mkdir", lambda *_, **__: None)
    monkeypatch.setattr(disk.tempfile, "TemporaryFile", unwritable)
    assert disk.cache_directory.__wrapped__() is None
    monkeypatch.setattr(disk.tempfile, "TemporaryFile", lambda **_: io.BytesIO())
    monkeypatch.setattr(disk.shutil, "rmtree", lambda *_, **__: None)
    assert disk.cache_directory.__wrapped__().parent.name == "__pycache__"


class TestOneEntry:
    """The cache of a small function, compiled or loaded by as many dispatchers as it takes."""

    @pytest.fixture
    def call(self, tmp_path, monkeypatch):
        """Return a function that has a new entry point double a number and says if it loaded."""
        monkeypatch.setattr(disk, "cache_directory", lambda: tmp_path / "kernels")

        def doubled(x):
            monkeypatch.setattr(objects, "_addresses", {})
            before = disk.counts["loaded"]
            assert linking.entry_point(double)(x) == 2 * x
            return disk.counts["loaded"] > before

        return doubled

    def test_a_signature_is_kept_and_loaded(self, call, tmp_path):
        assert [call(1), call(1), call(1.0), call(1.0)] == [False, True, False, True]
        names = [path.name for path in (tmp_path / "kernels").iterdir()]
        assert len(names) == 2
        assert all(name.startswith("test_cache.double.") for name in names)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[: len(content) // 2],
            lambda _: b"",
            lambda content: bytes(len(content)),
            lambda content: bytes([content[0] ^ 1]) + content[1:],
            lambda _: hashlib.sha256(b"no header").digest() + b"no header",
        ],
        ids=[
            "half",
            "empty",
            "zeros",
            "a flipped bit of the checksum",
            "no header, but with its checksum",
        ],
    )
    def test_a_spoilt_entry_is_compiled_anew(self, call, tmp_path, damage):
        call(1)
        (path,) = (tmp_path / "kernels").iterdir()
        content = path.read_bytes()
        path.write_bytes(damage(content))
        assert not call(1)
        assert call(1)

    def test_a_directory_that_takes_nothing_is_no_error(self, call, tmp_path):
        (tmp_path / "kernels").touch()
        assert not call(1)
        assert not call(1)

    def test_a_directory_that_went_away_is_made_again(self, call, tmp_path):
        call(1)
        shutil.rmtree(tmp_path / "kernels")
        assert not call(1)
        assert call(1)

    def test_without_a_directory_everything_is_compiled(self, call, monkeypatch):
        monkeypatch.setattr(disk, "cache_directory", lambda: None)
        assert not call(1)
        assert not call(1)

    def test_another_version_of_numba_is_another_entry(self, call, monkeypatch):
        call(1)
        monkeypatch.setattr(disk, "_versions", lambda: ["0.0"])
        assert not call(1)

    def test_another_cpu_is_another_entry(self, call, monkeypatch):
        call(1)
        monkeypatch.setattr(disk, "cpu_features", lambda: "+sse4.2")
        assert not call(1)

    def test_code_that_links_to_what_is_missing_is_told(self, call, tmp_path):
        call(1)
        (path,) = (tmp_path / "kernels").iterdir()
        payload = path.read_bytes()[32:].replace(b"PyEval_SaveThread", b"PyEval_NoSuchName", 1)
        path.write_bytes(hashlib.sha256(payload).digest() + payload)
        with pytest.raises(ImportError, match="'PyEval_NoSuchName'"):
            call(1)


@pytest.fixture
def fresh_directory(monkeypatch, tmp_path):
    """Return a function that looks for a cache directory anew, in a kernels folder of its own."""
    folder = tmp_path / "package" / "kernels"
    folder.mkdir(parents=True)
    monkeypatch.setattr(disk, "__file__", str(folder / "codegen" / "cache.py"))
    monkeypatch.setattr(disk, "source_stamp", lambda: "stamp")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return folder, disk.cache_directory.__wrapped__


def test_the_cache_lies_beside_the_sources_and_drops_what_is_stale(fresh_directory):
    folder, cache_directory = fresh_directory
    stale = folder / "__pycache__" / "fastlogit-older"
    other = folder / "__pycache__" / "heads.cpython-311.pyc"
    stale.mkdir(parents=True)
    other.touch()
    assert cache_directory() == folder / "__pycache__" / "fastlogit-stamp"
    assert not stale.exists()
    assert other.exists()


def test_the_cache_falls_back_to_the_users_directory(fresh_directory, tmp_path):
    folder, cache_directory = fresh_directory
    (folder / "__pycache__").touch()  # no directory can be made there
    assert cache_directory() == tmp_path / "user" / "fastlogit" / "fastlogit-stamp"
    (tmp_path / "user").rename(tmp_path / "gone")
    (tmp_path / "user").touch()
    assert cache_directory() is None


STAMPS = """
import sys
sys.path.insert(0, sys.argv[1])
from fastlogit.kernels.codegen import cache
assert sys.argv[1] in cache.__file__, cache.__file__
print(cache.source_stamp(), cache.cache_directory())
"""


def stamped(package, tmp_path):
    command = [sys.executable, "-c", STAMPS, str(package)]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    return done.stdout.split()


@pytest.mark.parametrize("form", ["archive", "bytecode"])
def test_sources_that_are_no_files_are_stamped_too(tmp_path, form):
    stamps = []
    for version in ("one", "two"):
        home = tmp_path / version
        shutil.copytree(PACKAGE, home / "fastlogit", ignore=shutil.ignore_patterns("__pycache__"))
        with (home / "fastlogit/kernels/layers/output_losses.py").open("a") as heads:
            heads.write(f"\nVERSION = {version!r}\n")
        if form == "archive":
            home = Path(shutil.make_archive(str(home), "zip", home))
        else:
            compileall.compile_dir(home, legacy=True, quiet=2)
            for source in home.rglob("*.py"):
                source.unlink()
        stamps.append(stamped(home, tmp_path))
    (one, cache_of_one), (two, _) = stamps
    assert one != two
    assert cache_of_one.endswith(one)


def test_no_cache_where_no_sources_can_be_read(monkeypatch):
    disk.source_stamp.cache_clear()
    disk.cache_directory.cache_clear()
    monkeypatch.setattr(disk.resources, "files", lambda package: Path("/nowhere"))
    try:
        assert disk.source_stamp() is None
        assert disk.cache_directory() is None
    finally:
        disk.source_stamp.cache_clear()
        disk.cache_directory.cache_clear()
