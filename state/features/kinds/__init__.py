"""The kinds of features, one a module, found by listing this folder.

A module says what its kind is in its docstring and holds one `KIND`, a `state.features.spec.FeatureKind`: the key in
books, what it takes and yields, its columns, the kernel that folds it, an example. Nothing else need be changed for a
new kind: books, fold, warm-up and tests take it from here.
"""

from state.features.spec import FeatureKind
from state.listing import modules_in

__all__ = ["BOOK_KINDS", "KINDS", "LOOPS"]

KINDS: dict[str, FeatureKind] = {
    kind.name: kind for kind in (module.KIND for module in modules_in("state.features.kinds"))
}
"""Every kind by name, in the order of their modules."""

BOOK_KINDS: dict[str, FeatureKind] = {kind.name: kind for kind in KINDS.values() if not kind.built_in}
"""Those that a book may declare."""

LOOPS = tuple(dict.fromkeys(kind.fold for kind in KINDS.values()))
"""The kernels that fold them, each once; a feature is told the index of its own."""
