# SPDX-License-Identifier: GPL-2.0-only
"""List the files that Python needs to do what a guest does before its gate.

``python loaded.py SETTINGS BUNDLE FILE`` imports the same modules in the same way, and writes the
paths to FILE as JSON.  It is run by its path, like a guest's init.
"""

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path

_DESCRIPTIONS = ("METADATA", "PKG-INFO", "RECORD", "entry_points.txt")
_ROOT = str(Path(__file__).parents[2])


class _LibraryInfo(ctypes.Structure):
    # struct dl_phdr_info of link.h, as far as needed.
    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def libraries() -> list[str]:
    """Return the shared libraries of this process, by the names that the loader used."""
    names: list[str] = []
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(_LibraryInfo), ctypes.c_size_t, ctypes.c_void_p
    )

    def note(info: "ctypes._Pointer[_LibraryInfo]", _size: int, _data: int) -> int:
        names.append(os.fsdecode(info.contents.name or b""))
        return 0

    ctypes.CDLL(None).dl_iterate_phdr(kind(note), None)
    return [name for name in names if name.startswith("/")]


def modules(bundled: type, rewritten: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the modules that were imported from files: (source, compiled file or "").

    Also return both files of those whose assertions pytest has rewritten into ``rewritten``.
    """
    from _pytest.assertion.rewrite import PYC_TAIL, AssertionRewritingHook

    files, own = [], []
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        if spec is None or not spec.has_location or isinstance(spec.loader, bundled):
            continue
        source = spec.origin.endswith(".py")
        if isinstance(spec.loader, AssertionRewritingHook):
            path = Path(spec.origin)
            cached = Path(rewritten, *path.parts[1:-1], f"{path.stem}{PYC_TAIL}")
            own += [spec.origin, str(cached)] if cached.exists() else [spec.origin]
            continue
        compiled = importlib.util.cache_from_source(spec.origin) if source else ""
        files.append((spec.origin, compiled))
    return files, own


def metadata() -> tuple[list[str], list[str]]:
    """Return the folders in which packages describe themselves, and the files that pytest reads."""
    folders, files = [], []
    for place in dict.fromkeys(sys.path):
        if place.endswith("/site-packages"):
            for distribution in importlib.metadata.distributions(path=[place]):
                folder = Path(str(vars(distribution)["_path"]))
                folders.append(str(folder))
                files += [str(p) for p in map(folder.joinpath, _DESCRIPTIONS) if p.is_file()]
    return folders, files


def main(argv: list[str]) -> None:
    """Import what the guest imports, and write down the files."""
    sys.path.insert(0, _ROOT)
    from harness.guestside import bundled, gate, rehearsal

    bundled.install(argv[2])
    settings = json.loads(argv[1])
    rehearsal.preload(settings)
    package = Path(gate.__file__)
    # Python finds its library by os.py, which it does not read.
    files = [sys.executable, str(os.__file__), str(package.with_name("init.py")), argv[2]]
    configuration = Path(sys.executable).parent.parent / "pyvenv.cfg"
    files += [str(configuration)] if configuration.is_file() else []
    plain, rewritten = modules(bundled.Loader, settings["rewritten"])
    folders, described = metadata()
    files.append(str(sys.modules["execnet.gateway_base"].__file__))
    files += [*rewritten, *described, *libraries()]
    table = {"files": files, "modules": plain, "packages": folders}
    Path(argv[3]).write_text(json.dumps(table))


if __name__ == "__main__":
    main(sys.argv)
