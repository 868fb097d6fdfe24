# SPDX-License-Identifier: GPL-2.0-only
"""What pytest's command line asks for: which guests, how many, and how a test is run again."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from pathlib import Path

import pytest

from harness import options, paths
from harness.guest import GuestSpec, accel
from harness.guest.image import check as check_image
from harness.guest.spec import parse_variables
from harness.options import GUEST_ARCH, GUEST_MEMORY
from harness.plugin.fleet import Fleet, guest_count, hold_seconds
from harness.progress import Progress

# A disk that is a module of the guest's kernel, not a file of the host's.
_NULL = "null_blk"


def fleet(config: pytest.Config) -> tuple[Fleet, str]:
    """Give the guests that are asked for, not booted yet, and why they run as they do."""
    get = config.getoption
    image = Path(get("kernel")).absolute()
    fields = {option.guest: get(_dest(option)) for option in options.OPTIONS if option.guest}
    fields["arch"] = fields["arch"] or GUEST_ARCH
    fields["memory"] = fields["memory"] or GUEST_MEMORY
    if not get("guest_booter"):  # another booter takes what it wants
        check_image(image, fields["arch"])
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder = Path(get("guest_folder") or paths.state("pytest", stamp)).absolute()
    kind, reason = accel.choose(get("accel") or "auto", Progress(quiet=True))
    spec = GuestSpec(
        image=image,
        folder=folder / "guests",
        accel=kind,
        disks=tuple(Path(disk).absolute() for disk in get("guest_disk") if disk != _NULL),
        cwd=config.invocation_params.dir,
        vmlinux=_uncompressed(image),
        modules=_modules(get("guest_modules"), image),
        booter=tuple(shlex.split(get("guest_booter"))),
        hold=hold_seconds(config),
        environment=parse_variables(get("guest_env")),
        append=(*_null_disks(get("guest_disk")), *" ".join(get("guest_append")).split()),
        **fields,
    )
    # xdist's own -n is taken as the number of guests when ours is not given.
    asked = str(get("guests"))
    if asked in ("", "auto"):
        asked = str(get("numprocesses") or "auto")
    if spec.hold:
        asked = "1"  # a person looks at one at a time
    named = config.args if all("::" in arg for arg in config.args) else []
    return Fleet(spec, guest_count(asked, spec, len(named))), reason


def required_options(config: pytest.Config) -> dict[str, str]:
    """Give the options that the running kernel must have."""
    file = config.getoption("kernel_options")
    asked: dict[str, str] = json.loads(Path(file).read_text()) if file else {}
    return asked


def command(config: pytest.Config, spec: GuestSpec) -> list[str]:
    """Give the words that run one test alone in a fresh guest like these, from any folder.

    The test's absolute path and name go behind them.
    """
    words = [sys.executable, "-m", "pytest", "--kernel", str(spec.image), "--guests", "1"]
    for option in options.OPTIONS:
        value = config.getoption(_dest(option)) if option.carried else ()
        if option.carried and value != option.form["default"]:
            each = value if isinstance(value, list) else [value]
            words += [part for one in each for part in (option.pytest, str(one))]
    if config.getoption("guest_modules"):
        words += ["--guest-modules", str(spec.modules)]
    for name, text in spec.environment:
        words += ["--guest-env", f"{name}={text}"]
    for disk in config.getoption("guest_disk"):
        words += ["--guest-disk", disk if disk == _NULL else str(Path(disk).absolute())]
    return [*words, "--rootdir", str(config.rootpath)]


def _dest(option: options.CommandOption) -> str:
    """The name under which pytest's config has an option."""
    return option.pytest.lstrip("-").replace("-", "_")


def _uncompressed(image: Path) -> Path | None:
    """Give the same kernel uncompressed, where a kept kernel or a build folder has it."""
    kept = image.with_name("vmlinux")
    if kept.is_file():
        return kept
    # A build folder's image is made from its vmlinux; a newer vmlinux is another kernel's.
    newest = image.stat().st_mtime
    built = (up / "vmlinux" for up in image.parents[3:4])
    return next((one for one in built if one.is_file() and one.stat().st_mtime <= newest), None)


def _modules(asked: str | None, image: Path) -> Path | None:
    """Give the folder of modules that was asked for, or the one a kept kernel has."""
    folder = Path(asked).absolute() if asked else image.with_name("modules")
    if asked and not any(folder.glob("*/modules.dep")):
        raise pytest.UsageError(f"--guest-modules {asked}: no RELEASE/modules.dep in there")
    return folder if folder.is_dir() else None


def _null_disks(disks: list[str]) -> list[str]:
    """Give the kernel arguments for as many null_blk devices as were asked for."""
    count = disks.count(_NULL)
    return [f"null_blk.nr_devices={count}"] if count else []
