"""Arrays that end, or begin, at an unreadable page: what a memory sanitizer would see is seen.

A read or write beyond an array then ends the process with SIGSEGV. NumPy takes its memory from a
handler (NEP 49); the one here gives each array pages of its own::

    header | guard | data | guard

The header holds the array's size, so that realloc and free need no books. The data's last byte, or
its first, lies next to a guard; an array at the end of a page is aligned to its items, as kernels
have to take it, and to no more. New memory holds bytes of 255, NaN or −1, so that what is read
before it is written shows. What has been freed is unreadable, and its addresses are not used again.

An array of size 0 has the one byte that NumPy asks for. Memory that NumPy does not allocate, such
as the state of a random generator, is not guarded.
"""

import ctypes
import mmap
import threading
from contextlib import contextmanager
from functools import cache
from unittest import mock

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy._core import multiarray

SIDES = ("start", "end")
PAGE = mmap.PAGESIZE
GUARD = 16 * PAGE
NOTHING, USABLE = 0, mmap.PROT_READ | mmap.PROT_WRITE
PRIVATE, IN_PLACE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 0x10  # MAP_FIXED of every Unix
# Where PyDataMem_SetHandler is in NumPy's table of C functions, and the name of what it takes.
SET_HANDLER, CAPSULE = 304, ctypes.c_char_p(b"mem_handler")

word, flags = types.intp, types.intc
c_mmap = types.ExternalFunction("mmap", word(word, word, flags, flags, flags, word))
c_mprotect = types.ExternalFunction("mprotect", flags(word, word, flags))
c_memcpy = types.ExternalFunction("memcpy", word(word, word, word))


@intrinsic
def words_at(typing_context, address):
    """Return an address as a pointer to words."""

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.intp), generate


@numba.njit
def pages_of(size):
    return max((size + PAGE - 1) // PAGE, 1) * PAGE


@numba.njit
def header_of(pointer):
    header = pointer // PAGE * PAGE - GUARD - PAGE
    return header, numba.carray(words_at(header), 1)


@numba.njit
def allocate(side, size, fill):
    pages = pages_of(size)
    header = c_mmap(0, PAGE + GUARD + pages + GUARD, NOTHING, PRIVATE, -1, 0)
    data = header + PAGE + GUARD
    if header == -1 or c_mprotect(header, PAGE, USABLE) or c_mprotect(data, pages, USABLE):
        return 0
    numba.carray(words_at(header), 1)[0] = size
    numba.carray(words_at(data), pages // 8)[:] = fill
    return data + side * (pages - size)


@numba.njit
def release(pointer):
    header, size = header_of(pointer)
    length = PAGE + GUARD + pages_of(size[0])
    c_mmap(header, length, NOTHING, PRIVATE | IN_PLACE, -1, 0)  # the addresses stay taken


# The C functions of a handler, which tells them its side, 0 or 1. They are compiled, since NumPy
# frees memory where Python cannot run too: while an exception is on its way.


def malloc(side, size):
    return allocate(side, size, -1)


def calloc(side, count, size):
    return allocate(side, count * size, 0)


def realloc(side, pointer, size):
    moved = allocate(side, size, -1)
    if pointer != 0 and moved != 0:
        c_memcpy(moved, pointer, min(size, header_of(pointer)[1][0]))
        release(pointer)
    return moved


def free(_side, pointer, _size):
    if pointer != 0:
        release(pointer)


new_capsule = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)(("PyCapsule_New", ctypes.pythonapi))
in_capsule = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("side", ctypes.c_size_t),
        ("functions", ctypes.c_size_t * 4),
    )


@cache
def compiled():
    """Return the four functions."""
    three = word(word, word, word)
    return (
        numba.cfunc(word(word, word))(malloc),
        numba.cfunc(three)(calloc),
        numba.cfunc(three)(realloc),
        numba.cfunc(types.void(word, word, word))(free),
    )


@cache
def handler(side):
    """Return a side's handler as NumPy wants it, and what has to be kept alive with it."""
    addresses = (ctypes.c_size_t * 4)(*(function.address for function in compiled()))
    structure = Handler(b"guard_pages", 1, SIDES.index(side), addresses)
    return new_capsule(ctypes.addressof(structure), CAPSULE, None), structure


def set_handler(capsule):
    """Have NumPy's arrays of this thread made by a handler; return the one until now."""
    table = ctypes.cast(in_capsule(multiarray._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[SET_HANDLER])(capsule)


@contextmanager
def guard_pages(side):
    """Guard the end or the start of every array that NumPy makes meanwhile, new threads' too."""
    capsule = handler(side)[0]
    run = threading.Thread.run

    def guarded_run(thread):
        set_handler(capsule)  # a thread begins with NumPy's own
        run(thread)

    before = set_handler(capsule)
    try:
        with mock.patch.object(threading.Thread, "run", guarded_run):
            yield
    finally:
        set_handler(before)
