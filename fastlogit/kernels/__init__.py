"""The jitted code: the four models, and what they are composed of.

Each model is one file, with the derivation of its gradient beside the code that computes it. Models
consist of ``layers``, which ``dispatch`` chooses by type; ``training`` has the epochs that Python
calls, ``full_batch`` what takes all rows at once, and ``codegen`` how all of it is compiled.

Nothing in here imports anything of the package outside this folder, and only ``codegen`` names
internals of the compiler.
"""
