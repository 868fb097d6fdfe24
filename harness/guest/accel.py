# SPDX-License-Identifier: GPL-2.0-only
"""Choose how QEMU runs guest code.  KVM only when it has just been seen to run some.

/dev/kvm being there means nothing: nested or old hosts let QEMU start and then abort or hang.  So
a 238-byte guest (probe.S) does a little of what a kernel does first, under a time limit.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from harness import paths, process
from harness.errors import HostFault, UsageError
from harness.model import Accel
from harness.progress import Progress

OLDEST = (6, 0)  # of QEMU: the first with the socket options we use
LIMIT = 10.0  # seconds for the probe; KVM takes a fraction of one
_RIGHT = 33  # QEMU's exit status when the guest wrote 0x10 to isa-debug-exit
_KVM = Path("/dev/kvm")
_QEMU = {"x86_64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
_PROBE = base64.b64decode(
    "ArCtGwAAAQD+T1HkAAAQAAAAEAAAAAAAAAARACAAEAD8vABAEAC/AFAQADHAuQAMAADzq8cFAFAQAANgEADHBQBgEA"
    "ADcBAAvwBwEAC4gwAAALlAAAAAiQcFAAAgAIPHCOL0uABQEAAPItgPIOCDyCAPIuC5gAAAwA8yDQABAAAPMA8gwA0A"
    "AACADyLADwEV6AAQAOqbABAACAC/AAAgALkAAIAAMcCJB4PHBP/A/8l19b4AACAAuQAAgAAx260Bw//JdfmwEIH7AA"
    "DA/3QCsCDm9PTr/WaQAAAAAAAAAAAAAAAAAJogAA8A2AAQAA=="
)


def choose(asked: str, progress: Progress, arch: str = "x86_64") -> tuple[Accel, str]:
    """Give the accelerator for "auto", "kvm" or "tcg", and why; told once when it is a fallback.

    Raises HostFault when QEMU is missing or too old, or KVM was asked for and cannot be proven.
    """
    if asked not in ("auto", *Accel):
        raise UsageError(f"--accel is auto, kvm or tcg, not {asked!r}", hint="--accel auto")
    qemu, version = find_qemu(arch)
    if asked == Accel.TCG:
        return Accel.TCG, "asked for"
    trouble = _trouble(qemu, version, arch)
    if not trouble:
        return Accel.KVM, "proven by running guest code"
    if asked == Accel.KVM:
        raise HostFault(f"KVM cannot be used: {trouble}", hint="--accel tcg (slower)")
    progress.say(f"no usable KVM, guests are emulated (TCG, slower): {trouble}")
    return Accel.TCG, trouble


def find_qemu(arch: str = "x86_64") -> tuple[str, str]:
    """Give the path and version of QEMU.  Raises HostFault when it is missing or too old."""
    name = _QEMU.get(arch)
    if name is None:
        raise UsageError(f"guests of architecture {arch} are not known", hint=", ".join(_QEMU))
    path = shutil.which(name)
    needed = ".".join(map(str, OLDEST))
    if path is None:
        raise HostFault(f"{name} is not installed; {needed} or newer is needed", hint=_SETUP)
    said = process.run([path, "--version"], timeout=LIMIT).stdout
    found = re.search(r"version (\d+)\.(\d+)\S*", said)
    if found is None:
        raise HostFault(f"{path} does not say its version", hint=_SETUP, details=said)
    if (int(found[1]), int(found[2])) < OLDEST:
        raise HostFault(f"QEMU {needed} or newer is needed, {path} is {found[0]}", hint=_SETUP)
    return path, found[0].removeprefix("version ")


_SETUP = "harness setup"


def _trouble(qemu: str, version: str, arch: str) -> str:
    """Say why KVM cannot be used; empty when it can.  Asked once per boot of the host."""
    if arch != "x86_64" or platform.machine() != "x86_64":
        return "KVM can be proven on x86-64 only"
    if not _KVM.exists():
        return f"there is no {_KVM}"
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return f"no permission to use {_KVM} (is the user in the group kvm?)"
    known = paths.cache("accel") / "kvm.json"
    key = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {qemu} {version}"
    try:
        kept = json.loads(known.read_text())
        if kept["key"] == key:
            return str(kept["trouble"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    trouble = probe(qemu)
    fresh = known.with_name(f".{known.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"key": key, "trouble": trouble}))
    fresh.replace(known)
    return trouble


def probe(qemu: str, accel: str = "kvm", cpu: str = "host") -> str:
    """Run the little guest; gives what went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="harness-probe-") as folder:
        image = Path(folder) / "probe"
        image.write_bytes(_PROBE)
        words = [qemu, "-machine", f"q35,accel={accel}", "-cpu", cpu, "-m", "64"]
        words += ["-display", "none", "-vga", "none", "-no-reboot", "-net", "none"]
        words += ["-serial", "none", "-monitor", "none", "-kernel", str(image)]
        words += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        try:
            result = process.run(words, timeout=LIMIT, check=False)
        except HostFault:
            return f"guest code hangs (nothing within {LIMIT:.0f} s)"
    if result.status == _RIGHT:
        return ""
    lines = [line for line in result.stderr.splitlines() if "warning:" not in line]
    why = lines[0].partition("error: ")[2] or lines[0] if lines else f"status {result.status}"
    return f"QEMU cannot run guest code with KVM ({why})"
