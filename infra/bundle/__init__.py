"""Bundles: what is deployed of each function, as one zip, the same bytes whenever and wherever it is made.

A bundle holds the function's `main.py`, the parts of `shared` that it can reach, the files these read, and
its locked requirements.
"""

from infra.bundle.archive import MANIFEST, Bundle, build

__all__ = ["MANIFEST", "Bundle", "build"]
