"""What a context written in Python needs from the host, and no more.

Invariants: no state in globals (instances are reused), no authority but the imports of the context's world.
Not here: the seams between contexts, whose bindings the toolchain makes in the module `wit_world`.
"""
