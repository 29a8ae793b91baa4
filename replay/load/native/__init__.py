"""The usual statement's way without Python: a loop that numba compiles once after an installation.

A statement costs CPython twice what it costs pgbench, however few calls it takes. So what every
statement needs runs compiled, over memory that it shares with Python (`layout`), and Python is asked
for the rest. `build` compiles it, in a process of its own; `library` loads it, without numba.
"""
