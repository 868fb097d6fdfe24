# SPDX-License-Identifier: GPL-2.0-only
"""Import modules from the host's bundle: a single file, without searching or compiling.

The bundle contains the code of the modules that every worker needs.  They behave as if imported
from their files (tracebacks, ``__file__``, resources); other modules are imported as usual.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

TYPE_CHECKING = False  # typing and collections must be imported from the bundle
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    #: {name: (whether it is a package, source file, offset of its code, length of its code)}
    Index = dict[str, tuple[bool, str, int, int]]


class Bundle:
    """A finder (``sys.meta_path``) for the modules in the bundle at ``path``."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is one import more
            size = int.from_bytes(file.read(8), "little")
            self.index: Index
            self.index, searched = marshal.loads(file.read(size))
            self._searched = frozenset(searched)
            self._codes = memoryview(file.read())
        self._listed: dict[str, set[str]] = {}

    def code(self, name: str) -> CodeType:
        _, _, start, size = self.index[name]
        code: CodeType = marshal.loads(self._codes[start : start + size])
        return code

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, reloaded: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module in the bundle; None for other modules."""
        entry = self.index.get(name)
        if entry is None:
            return None
        package, origin, _, _ = entry
        parent = os.path.dirname(os.path.dirname(origin) if package else origin)  # noqa: PTH120
        if (parent not in path) if path is not None else self._hidden(name, parent):
            return None
        spec = ModuleSpec(name, Loader(self, name, origin), origin=origin, is_package=package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(os.path.dirname(origin))  # noqa: PTH120
        return spec

    def invalidate_caches(self) -> None:
        """Look at folders again, because their files have changed."""
        self._listed.clear()

    def _hidden(self, name: str, home: str) -> bool:
        # A folder earlier in sys.path (pytest adds a test's folder) may have a module of the same
        # name, which then takes precedence.
        for entry in sys.path:
            if entry == home:
                return False
            if entry in self._searched:
                continue
            if entry not in self._listed:
                self._listed[entry] = _modules(entry)
            if name in self._listed[entry]:
                return True
        return False


def _modules(folder: str) -> set[str]:
    # Names that can be imported from a folder: subfolders, and files that look like modules.
    try:
        with os.scandir(folder or ".") as entries:
            return {
                entry.name.partition(".")[0]
                for entry in entries
                if entry.name.endswith((".py", ".pyc", ".so")) or entry.is_dir()
            }
    except OSError:
        return set()


class Loader(SourceFileLoader):
    """Loads code from the bundle, everything else (resources, source) from the files."""

    def __init__(self, bundle: Bundle, name: str, path: str) -> None:
        super().__init__(name, path)
        self._bundle = bundle

    def get_code(self, fullname: str) -> CodeType:
        return self._bundle.code(fullname)


def install(path: str) -> Bundle:
    """Make imports try the bundle at ``path`` first, except for built-in modules."""
    bundle = Bundle(path)
    place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0
    sys.meta_path.insert(place, bundle)
    return bundle
