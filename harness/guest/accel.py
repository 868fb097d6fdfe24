# SPDX-License-Identifier: GPL-2.0-only
"""Choose QEMU's accelerator: KVM is used only after a probe guest has run with it.

The existence of /dev/kvm proves nothing: on nested or old hosts QEMU may start and then abort or
hang.  So a 238-byte guest (probe.S) repeats a kernel's first steps, under a time limit.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from harness import architectures, paths, process, serial
from harness.errors import HostFault, UsageError
from harness.model import Accel
from harness.progress import Progress

OLDEST = (6, 0)  # oldest QEMU version that has the socket options we use
LIMIT = 10.0  # time limit of the probe in seconds; KVM needs a fraction of a second
_PROVEN = 33  # QEMU's exit status when the guest wrote 0x10 to isa-debug-exit
_KVM = Path("/dev/kvm")
_SETUP = "harness setup"
_PROBE = base64.b64decode(
    "ArCtGwAAAQD+T1HkAAAQAAAAEAAAAAAAAAARACAAEAD8vABAEAC/AFAQADHAuQAMAADzq8cFAFAQAANgEADHBQBgEA"
    "ADcBAAvwBwEAC4gwAAALlAAAAAiQcFAAAgAIPHCOL0uABQEAAPItgPIOCDyCAPIuC5gAAAwA8yDQABAAAPMA8gwA0A"
    "AACADyLADwEV6AAQAOqbABAACAC/AAAgALkAAIAAMcCJB4PHBP/A/8l19b4AACAAuQAAgAAx260Bw//JdfmwEIH7AA"
    "DA/3QCsCDm9PTr/WaQAAAAAAAAAAAAAAAAAJogAA8A2AAQAA=="
)


@dataclasses.dataclass(frozen=True)
class KvmProbe:
    """kvm.json in the cache: the result of the last probe; ``key`` is everything it depends on.

    ``trouble`` says why KVM does not work; empty if it works.
    """

    key: str
    trouble: str


def choose(wanted: str, progress: Progress, arch: str = "x86_64") -> tuple[Accel, str]:
    """Return the accelerator for "auto", "kvm" or "tcg", and the reason; report a fallback.

    Raises HostFault if QEMU is missing or too old, or if KVM was requested and does not work.
    """
    if wanted not in ("auto", *Accel):
        what = f"invalid --accel {wanted!r}; must be auto, kvm or tcg"
        raise UsageError(what, hint="--accel auto")
    qemu, version = find_qemu(arch)
    if wanted == Accel.TCG:
        return Accel.TCG, "requested"
    trouble = _trouble(qemu, version, arch)
    if not trouble:
        return Accel.KVM, "tested by running guest code"
    if wanted == Accel.KVM:
        raise HostFault(f"KVM cannot be used: {trouble}", hint="--accel tcg (slower)")
    progress.say(f"KVM is not usable, emulating guests with TCG (slower): {trouble}")
    return Accel.TCG, trouble


def find_qemu(arch: str = "x86_64") -> tuple[str, str]:
    """Return the path and version of QEMU.  Raises HostFault if it is missing or too old."""
    name = architectures.named(arch).qemu
    path = shutil.which(name)
    needed = ".".join(map(str, OLDEST))
    if path is None:
        raise HostFault(f"{name} is not installed; {needed} or newer is needed", hint=_SETUP)
    output = process.run([path, "--version"], timeout=LIMIT).stdout
    match = re.search(r"version (\d+)\.(\d+)\S*", output)
    if match is None:
        what = f"{path} --version prints no version number"
        raise HostFault(what, hint=_SETUP, details=output)
    if (int(match[1]), int(match[2])) < OLDEST:
        raise HostFault(f"QEMU {needed} or newer is needed, {path} is {match[0]}", hint=_SETUP)
    return path, match[0].removeprefix("version ")


def _trouble(qemu: str, version: str, arch: str) -> str:
    """Return why KVM cannot be used; empty if it can.  Probed once per boot of the host."""
    if arch != "x86_64" or platform.machine() != "x86_64":
        return "KVM is only supported for x86-64 guests on x86-64 hosts"
    if not _KVM.exists():
        return f"{_KVM} does not exist"
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return f"no permission to use {_KVM} (is the user in the group kvm?)"
    file = paths.cache("accel") / "kvm.json"
    key = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {qemu} {version}"
    with contextlib.suppress(OSError, serial.DamagedError):
        earlier = serial.read(file, KvmProbe)
        if earlier.key == key:
            return earlier.trouble
    trouble = probe(qemu)
    serial.write(file, KvmProbe(key, trouble))
    return trouble


def probe(qemu: str, accel: str = "kvm", cpu: str = "host") -> str:
    """Run the probe guest; return what went wrong, or an empty string on success."""
    with tempfile.TemporaryDirectory(prefix="harness-probe-") as folder:
        image = Path(folder) / "probe"
        image.write_bytes(_PROBE)
        argv = [qemu, "-machine", f"q35,accel={accel}", "-cpu", cpu, "-m", "64"]
        argv += ["-display", "none", "-vga", "none", "-no-reboot", "-net", "none"]
        argv += ["-serial", "none", "-monitor", "none", "-kernel", str(image)]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        try:
            result = process.run(argv, timeout=LIMIT, check=False)
        except HostFault:
            return f"guest code hangs (no result within {LIMIT:.0f} s)"
    if result.status == _PROVEN:
        return ""
    lines = [line for line in result.stderr.splitlines() if "warning:" not in line]
    why = lines[0].partition("error: ")[2] or lines[0] if lines else f"status {result.status}"
    return f"QEMU cannot run guest code with KVM ({why})"
