"""What a context in Python needs from the host.

Invariants: no state in globals (instances are reused), no authority but the imports of the context's world.
Not here: other contexts, whose bindings the toolchain generates in the module `wit_world`.
"""
