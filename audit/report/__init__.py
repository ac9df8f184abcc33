"""The verdict for people: one HTML page that needs nothing else."""

from .render import render

__all__ = ["render"]
