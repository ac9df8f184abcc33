"""`.net` files: lava-dl's netx networks as Programs and back, with what Lava makes of them.

`network` reads one layer after the other (`layers`: `conv`, `dense`) into a `build`; `neurons`,
`weights` and `fields` hold what Lava makes of the numbers. `simulation` runs a file on an npz file
(`input`), `write` writes one.
"""
