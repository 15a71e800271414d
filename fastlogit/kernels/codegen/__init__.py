"""How kernels are compiled: SIMD vectors, register tiles, linking, object files and their cache.

A kernel is compiled by Numba once and kept as object code, which llvmlite alone loads in later
processes: only compiler.py imports Numba, whose start takes 0.5 s, and only where something is to
be compiled.

This is the only folder that names what is private to Numba and llvmlite. Public are numba.extending
and numba.from_dtype, and llvmlite's builder "ir" and its "binding". All else is listed here, and
tests/kernels/codegen/test_private_names.py looks each of them up, so that a new version that lacks
one says which. Tried with numba 0.61.0 and llvmlite 0.44.0, and with numba 0.68.1 and llvmlite
0.50.0.

Modules and what is imported from them
    ``numba.core.types``, ``numba.core.cgutils.alloca_once``, ``numba.core.cgutils.for_range``,
    ``numba.core.cgutils.alloca_once_value``, ``numba.core.cgutils.get_or_insert_function``: emit
    loops, stack slots, intrinsics;
    ``numba.core.registry.cpu_target``, ``numba.core.compiler.compile_extra``,
    ``numba.core.compiler.Flags``, ``numba.core.compiler_lock.global_compiler_lock``,
    ``numba.np.arrayobj.populate_array``: compile a function
The CPU's target, its context, its code generator, and a library of compiled code
    ``target.target_context``, ``target.typing_context``, ``target.options.parse_as_flags``,
    ``context.refresh``, ``context.codegen``, ``context.create_module``, ``context.make_array``,
    ``context.make_tuple``, ``context.declare_function``, ``context.call_conv.call_function``,
    ``context.cast``, ``context.get_data_type``, ``context.get_value_type``,
    ``context.get_constant``, ``context.get_abi_sizeof``, ``context.get_dummy_value``,
    ``codegen.create_library``, ``library.add_ir_module``, ``library.enable_object_caching``,
    ``library.finalize``, ``library._final_module``, ``library._get_compiled_object``
Options of ``numba.njit``
    ``option._nrt``, ``option.no_cfunc_wrapper``, ``option.no_cpython_wrapper``,
    ``option.forceinline``

Of CPython and NumPy, python_calls.py reads tuples, floats and arrays by their C structs.
"""
