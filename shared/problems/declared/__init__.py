"""Problems that users declare, as one file each: their form, where they are kept, and their data.

Light: a file of data is only read in `tables` and `drafting`, which need Arrow.
"""

from shared.problems.declared.declaration import Declaration
from shared.problems.declared.store import DataFile, Declared, Problems

__all__ = ["DataFile", "Declaration", "Declared", "Problems"]
