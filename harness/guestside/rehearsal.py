# SPDX-License-Identifier: GPL-2.0-only
"""What a guest does before it is saved, so that its copies need not do it: a rehearsal of pytest.

It imports what a worker needs, and configures pytest once.  That configuration depends on the
host's files and is thrown away; what stays is what is the same for every worker.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.metadata
import inspect
import marshal
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import (
    Distribution,
    EntryPoints,
    PackageMetadata,
    PackagePath,
    PathDistribution,
)
from pathlib import Path
from types import ModuleType
from typing import Any


def preload(settings: dict[str, Any]) -> None:
    """Import the modules of the bundle, as a worker would find them."""
    sys.path[:] = settings["sys_path"]
    sys.dont_write_bytecode = True
    from harness.guestside import gateway

    gateway.warm_up(settings["rewritten"])
    gc.disable()
    for finder in list(sys.meta_path):
        for name in getattr(finder, "index", ()):
            with contextlib.suppress(Exception):  # some modules can only be imported by others
                importlib.import_module(name)
    keep_metadata(settings.get("packages", []))
    with contextlib.suppress(Exception):  # then a worker does all of it later
        rehearse(settings["late"])
    gc.collect()
    gc.freeze()
    gc.enable()


class _KeptDistribution(PathDistribution):
    """An installed package that reads once what it says about itself."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        vars(self)["read_text"] = functools.cache(super().read_text)

    @functools.cached_property
    def files(self) -> list[PackagePath] | None:
        return super().files

    @functools.cached_property
    def metadata(self) -> PackageMetadata:
        return super().metadata

    @functools.cached_property
    def entry_points(self) -> EntryPoints:
        return super().entry_points


def keep_metadata(packages: list[str]) -> None:
    """Remember what the installed packages say about themselves: pytest reads it at each start.

    ``packages`` are their folders in the host's order, in which pytest takes plugins.  The bundle
    is made anew when a package comes or goes.
    """
    original = importlib.metadata.distributions
    order = {folder: number for number, folder in enumerate(packages)}

    @functools.cache
    def kept(folder: str) -> list[Distribution]:
        found = [vars(one)["_path"] for one in original(path=[folder])]
        found.sort(key=lambda path: order.get(str(path), len(order)))
        return [_KeptDistribution(path) for path in found]

    def distributions(**which: Any) -> Iterable[Distribution]:
        if which:
            return original(**which)
        every = (
            kept(folder) if folder.endswith("/site-packages") else original(path=[folder])
            for folder in sys.path
        )
        return [distribution for some in every for distribution in some]

    vars(importlib.metadata)["distributions"] = distributions


def rehearse(late: list[str]) -> None:
    """Configure pytest once: the installed plugins are then imported, with rewritten assertions.

    ``late`` are modules that a worker imports only when it knows that it is one.  The
    configuration itself depends on the host's files, and is thrown away.
    """
    from _pytest import config as configuration
    from _pytest.assertion import rewrite

    from harness.guestside import gateway, probe

    def ours() -> dict[str, ModuleType]:
        every = list(sys.modules.items())
        return {name: module for name, module in every if name.partition(".")[0] == "harness"}

    plain = ours()
    for name in plain:
        del sys.modules[name]  # pytest must import a plugin's package itself
    original = vars(rewrite)["_read_pyc"]

    def unchecked(source: Path, compiled: Path, *_more: Any) -> Any:
        # An initramfs does not keep the modification times of its files.
        return marshal.loads(compiled.read_bytes()[16:]) if compiled.exists() else None

    vars(rewrite)["_read_pyc"] = unchecked
    try:
        config = configuration._prepareconfig(["-c", os.devnull, "--rootdir", "/"])
        try:
            for name in late:
                importlib.import_module(name)
            platform.platform()  # reads the whole interpreter to find its C library
            vars(platform)["_uname_cache"] = None  # it has the host's name in it
            for module in (importlib.import_module("xdist.remote"), probe):
                source, path = inspect.getsource(module), inspect.getsourcefile(module)
                gateway.compiled(f"{source}\n", path or "", "exec")
            with contextlib.suppress(Exception):  # another pytest
                keep_fixtures(plugin for _, plugin in config.pluginmanager.list_name_plugin())
        finally:
            config._ensure_unconfigure()
        with contextlib.suppress(Exception):
            keep_config()
        gateway.rehearsed.update(ours())
    finally:
        vars(rewrite)["_read_pyc"] = original
        for name, module in plain.items():
            sys.modules.setdefault(name, module)


def keep_config() -> None:
    """Register pytest's own plugins for the configuration that the worker will ask for.

    There is one for each set of left out plugins that is likely: a plugin leaves traces.
    """
    from _pytest import config as configuration

    original = configuration.get_config
    ready = {left_out(words): original(words) for words in ([], ["-p", "no:cacheprovider"])}

    def get_config(args: Any = None, plugins: Any = None, **more: Any) -> Any:
        words = list(map(str, args or ()))
        config = ready.pop(left_out(words), None)
        if config is None or plugins or any(more.values()):
            return original(args, plugins, **more)
        params = configuration.Config.InvocationParams
        config.invocation_params = params(args=args or (), plugins=plugins, dir=Path.cwd())
        return config

    vars(configuration)["get_config"] = get_config


def left_out(words: list[str]) -> frozenset[str]:
    """Return the plugins that pytest's arguments leave out: ``-p no:NAME``."""
    pairs = zip(["", *words], words, strict=False)
    named = [word if before == "-p" else word.removeprefix("-p") for before, word in pairs]
    return frozenset(name.strip() for name in named if name.strip().startswith("no:"))


def keep_fixtures(plugins: Iterable[object]) -> None:
    """Remember which names of plugins are fixtures: pytest looks at all names at each start."""
    from _pytest.fixtures import FixtureFunctionDefinition, FixtureManager

    hidden: Any = FixtureManager._find_wrapped_fixture_def

    def fixtures(members: Mapping[str, object]) -> dict[str, object]:
        # Pytest warns about a fixture that a decorator hides.
        return {
            name: value
            for name, value in members.items()
            if type(value) is FixtureFunctionDefinition or hidden(None, value) is not None
        }

    def bare(kind: type) -> bool:
        return not any(fixtures(vars(part)) for part in kind.__mro__)

    modules: dict[ModuleType, ModuleType] = {}  # plugins, and stand-ins with only their fixtures
    kinds = set()  # of other plugins: those without fixtures
    for plugin in plugins:
        if not isinstance(plugin, ModuleType):
            kinds.add(type(plugin))
            continue
        modules[plugin] = ModuleType(plugin.__name__)
        vars(modules[plugin]).update(fixtures(vars(plugin)))
        classes = (value for value in vars(plugin).values() if isinstance(value, type))
        kinds.update(kind for kind in classes if any(n.startswith("pytest_") for n in vars(kind)))
    kinds = set(filter(bare, kinds))
    # A plugin may still add fixtures to itself.
    sizes = {plugin: len(vars(plugin)) for plugin in modules}
    original = FixtureManager.parsefactories

    def parsefactories(self: Any, *words: Any, **more: Any) -> None:
        holder = more.get("holder", words[0] if words else None)
        if isinstance(holder, ModuleType) and sizes.get(holder) == len(vars(holder)):
            if "holder" in more:
                more["holder"] = modules[holder]
            else:
                words = (modules[holder], *words[1:])
        elif type(holder) in kinds:
            return
        original(self, *words, **more)

    setattr(FixtureManager, "parsefactories", parsefactories)  # noqa: B010
