"""Model packages and where they are kept: what a model is once training is over.

`manifest` says what a package is, `package` builds and opens it, `scorer` runs its graph, `golden`
re-checks it. `registry` keeps packages as versions, and says which one is live; `visibility` says who may see
which, and `history` what was done to them.
"""

from shared.registry.golden import build_examples
from shared.registry.manifest import GateResult, Manifest, Parity, Window
from shared.registry.package import Package
from shared.registry.promotions import Active, Promotion
from shared.registry.registry import Registry
from shared.registry.scorer import Scorer
from shared.registry.versions import Version
from shared.registry.visibility import is_visible, require_own, require_visible

__all__ = [
    "Active",
    "GateResult",
    "Manifest",
    "Package",
    "Parity",
    "Promotion",
    "Registry",
    "Scorer",
    "Version",
    "Window",
    "build_examples",
    "is_visible",
    "require_own",
    "require_visible",
]
