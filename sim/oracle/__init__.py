"""Lava itself, run in processes of its own and never left behind: what the twin is held to.

`run` starts a `worker` on a `request`, watches it and cleans up behind it (`cleanup`); the worker
imports Lava (`shim`), builds a program's processes (`build`, if they `fit`) or has netx do it, and
writes down every register (`recording`).
"""
