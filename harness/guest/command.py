# SPDX-License-Identifier: GPL-2.0-only
"""The command that boots a guest: virtme-ng's ``virtme-run`` with a kernel command line of ours.

``vng --run`` itself only makes a shell line for ``virtme-run``; calling that directly needs no
quoting and saves an interpreter.  virtme-ng knows the machine, exports the host's files and sets
up the console; what it would start as init (udev, tmpfiles, five ports) is what makes a stock boot
slow, so the kernel starts the host's Python with ``harness.guestside.bootstrap`` instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness import guestside
from harness.errors import HostFault
from harness.guest import hold, pvh, tsc
from harness.guest.spec import GuestSpec
from harness.guestside import bootstrap, held
from harness.model import Accel

PORT = "harness.0"
WATCHER = "watcher"  # the socket behind the port of harness.guestside.watcher
CHARDEV = "console"  # virtme-run's name for the console, which QMP needs
_TAG = "virtme.initmount{}"  # virtme-run's name for the folders of --rwdir
_LIMIT = 2000  # bytes of a kernel command line that every architecture of ours takes
_NINE = "version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose"


def argv(spec: GuestSpec, name: str, run: Path, *, gateway: bool) -> list[str]:
    """Give the words that boot guest ``name``, whose sockets and facts are in folder ``run``.

    ``gateway`` adds the results port.
    """
    words = [*(spec.booter or (sys.executable, "-I", "-c", _VIRTME_RUN))]
    words += ["--kimg", str(spec.image), "--mods", "none", "--force-9p", "--arch", spec.arch]
    words += ["--name", name, "--memory", f"{spec.memory}M", "--cpus", str(spec.processors)]
    words += ["--disable-monitor"]
    if spec.accel is Accel.TCG:
        words.append("--disable-kvm")
    for folder in spec.writable:
        words += ["--rwdir", f"{folder}={folder}"]
    for disk in spec.disks:
        words += ["--blk-disk", f"{disk.name}={disk}"]
    words += ["--qemu-opts", "-no-reboot", "-append", command_line(spec, run / "facts.json")]
    words += ["-qmp", f"unix:{run}/qmp,server=on,wait=off"]
    if spec.accel is Accel.TCG and spec.arch == "x86_64":
        # Five levels of page tables only make emulation slower, and a KASAN kernel that has them
        # may die at boot: an interrupt while it reads its processor's features.
        words += ["-cpu", "max,la57=off"]
    if spec.vmlinux is not None and pvh.startable(spec.vmlinux):
        words += ["-kernel", str(spec.vmlinux)]
    if gateway:
        words += ["-chardev", f"socket,id=harness,path={run}/gateway,server=on,wait=off"]
        words += ["-chardev", f"socket,id={WATCHER},path={run}/{WATCHER},server=on,wait=off"]
        words += ["-device", f"virtio-serial-pci,max_ports={4 if spec.hold else 3}"]
        words += ["-device", f"virtserialport,chardev=harness,name={PORT}"]
        words += ["-device", f"virtserialport,chardev={WATCHER},name={bootstrap.WATCHER}"]
    if gateway and spec.hold:
        words += ["-chardev", f"socket,id=shell,path={run}/{hold.SHELL},server=on,wait=off"]
        words += ["-device", f"virtserialport,chardev=shell,name={held.PORT}"]
    return words


# virtme-run as a console script may not be in PATH when the harness is called by its full path.
_VIRTME_RUN = "import sys; from virtme.commands.run import main; sys.exit(main())"


def hash_seed(spec: GuestSpec) -> str:
    """Give the seed of Python's hashes: one for all, so that sets have one order."""
    wanted = dict(spec.environment).get("PYTHONHASHSEED", os.environ.get("PYTHONHASHSEED", ""))
    # Python, and so the guest, dies of one that it does not take.
    fits = wanted.isascii() and wanted.isdecimal() and int(wanted) < 1 << 32
    return wanted if fits else "0"


def mounts(spec: GuestSpec) -> list[tuple[str, str, str]]:
    """Give (tag, place, options) of the host folders that the guest may write to."""
    options = _NINE.replace("cache=loose", "cache=none")
    return [(_TAG.format(n), str(place), options) for n, place in enumerate(spec.writable)]


def command_line(spec: GuestSpec, facts: Path) -> str:
    """Give the kernel command line.  Raises HostFault for what cannot be said in one."""
    console = _CONSOLES.get(spec.arch, "ttyS0")
    words = [f"console={console}", f"earlycon={_EARLY}" if spec.arch == "x86_64" else "earlycon"]
    words += [
        "loglevel=7",
        "printk.devkmsg=on",
        # A dump is read by the addresses in vmlinux, so the kernel lies where it was linked to.
        *(("panic=0", "nokaslr", "no5lvl") if spec.stays else ("panic=-1",)),
        # KASAN otherwise tells one fault per boot.  With a "=", for a kernel without KASAN hands
        # words that it does not know to init.
        "kasan_multi_shot=1",
        # Objects are counted by cache, which tells nothing where caches share their slabs.
        "slab_nomerge",
        "rootfstype=9p",
        f"rootflags={_NINE}",
        "ro",
    ]
    words += ["psmouse.proto=exps", "raid=noautodetect"]
    if spec.accel is Accel.TCG:
        # The emulated clock is the host's; checking it against others costs time and may fail on
        # a busy host, which then slows the guest down for good.
        # Four levels of page tables are walked quicker; with five KASAN dies at boot now and then.
        words += ["tsc=reliable", "no_timer_check", "no5lvl"] if spec.arch == "x86_64" else []
        known = tsc.khz() if spec.arch == "x86_64" else 0
        words += [f"tsc_early_khz={known}"] if known else []
    words += spec.append
    # A word with a "=" that the kernel does not know is a variable of init's.
    words.append(f"PYTHONHASHSEED={hash_seed(spec)}")
    # As with -I, but for -E: that would have it not look at its variables.
    init = ["-P", "-s", "-S", *_bundled(spec), str(_INIT), str(facts)]
    init.append(str(spec.bundle / "modules") if spec.bundle else "-")
    line = " ".join([*words, f"init={_quoted(str(spec.python))}", "--", *map(_quoted, init)])
    if len(line.encode()) > _LIMIT:
        raise HostFault(
            f"the kernel command line would be {len(line.encode())} bytes long",
            hint=f"the limit is {_LIMIT}: give less with --append, or use shorter folder names",
        )
    return line


def _bundled(spec: GuestSpec) -> list[str]:
    # Compiled files for what is imported before the bundle, which may be newer than those around.
    return ["-X", f"pycache_prefix={spec.bundle / 'pyc'}"] if spec.bundle else []


_INIT = Path(guestside.__file__).with_name("init.py")
_CONSOLES = {"x86_64": "ttyS0", "arm64": "ttyAMA0"}
_EARLY = "uart8250,io,0x3f8"


def _quoted(word: str) -> str:
    if '"' in word:
        raise HostFault(
            f'{word} cannot be passed to a kernel: it has a " in it',
            hint="use a folder without one",
        )
    # Always: the kernel takes some bytes of UTF-8 letters for spaces outside of quotes.
    return f'"{word}"'
