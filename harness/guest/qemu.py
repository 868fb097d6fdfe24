# SPDX-License-Identifier: GPL-2.0-only
"""The command that boots a guest: virtme-ng's ``virtme-run`` with our own kernel command line.

``vng --run`` only builds a shell command for ``virtme-run``; calling that directly needs no quoting
and saves an interpreter.  virtme-ng selects the machine, exports the host's files and sets up the
console.  Its init (udev, tmpfiles, five ports) is slow, so the kernel starts the host's Python with
``harness.guestside.bootstrap`` instead.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import architectures, guestside
from harness.errors import HostFault
from harness.guest import hold, image
from harness.guest.spec import GuestSpec
from harness.guestside import bootstrap, held
from harness.model import Accel

PORT = "harness.0"
WATCHER = "watcher"  # the socket behind the port of harness.guestside.watcher
CHARDEV = "console"  # virtme-run's name for the console; QMP needs it
_RWDIR_TAG = "virtme.initmount{}"  # virtme-run's name for the folders of --rwdir
_LIMIT = 2000  # bytes: the longest kernel command line that all our architectures accept
_9P_OPTIONS = "version=9p2000.L,trans=virtio,access=any,msize=512000,cache={}"
# The virtme-run script may not be in PATH when the harness is called by its full path.
_VIRTME_RUN = "import sys; from virtme.commands.run import main; sys.exit(main())"
_INIT = Path(guestside.__file__).with_name("init.py")
_RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
_TSC_INTERVAL = 0.02  # seconds: enough for five significant digits


def argv(
    spec: GuestSpec, name: str, run: Path, *, gateway: bool, memory: Path | None = None
) -> list[str]:
    """Return the command that boots guest ``name``; its sockets and facts.json are in ``run``.

    ``gateway`` adds the results port.  With ``memory``, a file for its memory, the guest boots from
    the prepared image and waits at its gate.  Raises the errors of ``command_line``.
    """
    command = [*(spec.booter or (sys.executable, "-I", "-c", _VIRTME_RUN))]
    command += ["--kimg", str(spec.image), "--mods", "none", "--force-9p", "--arch", spec.arch]
    command += ["--name", name, "--memory", f"{spec.memory}M", "--cpus", str(spec.processors)]
    command += ["--disable-monitor"]
    if spec.accel is Accel.TCG:
        command.append("--disable-kvm")
    for folder in spec.writable:
        command += ["--rwdir", f"{folder}={folder}"]
    for disk in spec.disks:
        command += ["--blk-disk", f"{disk.name}={disk}"]
    for number, size in enumerate(spec.empty_disks):
        command += ["--blk-disk", f"empty{number}={_empty_disk(run, number, size)}"]
    facts = None if memory else run / "facts.json"
    command += ["--qemu-opts", "-no-reboot", "-append", command_line(spec, facts)]
    command += ["-qmp", f"unix:{run}/qmp,server=on,wait=off"]
    cpu = architectures.named(spec.arch).emulated_cpu
    if spec.accel is Accel.TCG and cpu:
        command += ["-cpu", cpu]
    if spec.vmlinux is not None and image.has_pvh_entry(spec.vmlinux):
        command += ["-kernel", str(spec.vmlinux)]
    if gateway:
        command += ["-chardev", f"socket,id=harness,path={run}/gateway,server=on,wait=off"]
        command += ["-chardev", f"socket,id={WATCHER},path={run}/{WATCHER},server=on,wait=off"]
        command += ["-device", f"virtio-serial-pci,max_ports={4 if spec.hold else 3}"]
        command += ["-device", f"virtserialport,chardev=harness,name={PORT}"]
        command += ["-device", f"virtserialport,chardev={WATCHER},name={bootstrap.WATCHER}"]
    if memory:
        command += ["-initrd", str(spec.gate), "-machine", "memory-backend=memory"]
        backend = f"memory-backend-file,id=memory,mem-path={memory},size={spec.memory}M,share=on"
        # The machine's generation changes with each copy, and the kernel reseeds its generator.
        command += ["-object", backend, "-device", "vmgenid,guid=auto"]
    if gateway and spec.hold:
        command += ["-chardev", f"socket,id=shell,path={run}/{hold.SHELL},server=on,wait=off"]
        command += ["-device", f"virtserialport,chardev=shell,name={held.PORT}"]
    return command


def make_disks(spec: GuestSpec, run: Path) -> None:
    """Make the files of the guest's empty disks in its private folder; they use no space yet."""
    for number, size in enumerate(spec.empty_disks):
        with _empty_disk(run, number, size).open("wb") as file:
            file.truncate(size << 20)


def _empty_disk(run: Path, number: int, size: int) -> Path:
    return run / f"empty{number}-{size}M"


def hash_seed(spec: GuestSpec) -> str:
    """Return the seed for Python's hashes, so that sets have the same order in all guests."""
    seed = dict(spec.environment).get("PYTHONHASHSEED", os.environ.get("PYTHONHASHSEED", ""))
    # An invalid seed makes Python exit, and Python is the guest's init.
    valid = seed.isascii() and seed.isdecimal() and int(seed) < 1 << 32
    return seed if valid else "0"


def mounts(spec: GuestSpec) -> list[tuple[str, str, str]]:
    """Return (tag, mount point, options) of the host folders that the guest may write to."""
    options = _9P_OPTIONS.format("none")
    return [(_RWDIR_TAG.format(n), str(folder), options) for n, folder in enumerate(spec.writable)]


def root_options() -> str:
    """Return the mount options of the guest's root, which is the host's over 9p."""
    return _9P_OPTIONS.format("loose")


def command_line(spec: GuestSpec, facts: Path | None) -> str:
    """Return the kernel command line; without ``facts`` for a boot from the prepared image.

    Raises HostFault if kernels would not accept it.
    """
    architecture = architectures.named(spec.arch)
    arguments = [
        f"console={architecture.console}",
        architecture.earlycon,
        "loglevel=7",
        "printk.devkmsg=on",
        # Dumps are read with the addresses in vmlinux, so the kernel must not be relocated.
        *(("panic=0", "nokaslr", "no5lvl") if spec.stays else ("panic=-1",)),
        # Otherwise KASAN reports one fault per boot.  The "=" matters: a kernel without KASAN would
        # pass an unknown parameter without "=" to init as an argument.
        "kasan_multi_shot=1",
        # Slab objects are counted per cache, which is meaningless for merged caches.
        "slab_nomerge",
        "rootfstype=9p",
        f"rootflags={root_options()}",
        "ro",
        "psmouse.proto=exps",
        "raid=noautodetect",
    ]
    if spec.accel is Accel.TCG:
        arguments += architecture.emulated
        if architecture.name == "x86_64" and tsc_khz():
            arguments.append(f"tsc_early_khz={tsc_khz()}")
    arguments += spec.append
    # The kernel passes an unknown parameter with "=" to init as an environment variable.
    arguments.append(f"PYTHONHASHSEED={hash_seed(spec)}")
    # Like -I, but without -E, which would make Python ignore its environment variables.
    init = ["-P", "-s", "-S"]
    if spec.bundle:
        # Compiled files of modules imported before the bundle; those of the system may be outdated.
        init += ["-X", f"pycache_prefix={spec.bundle / 'pyc'}"]
    init += [str(_INIT), str(facts or "-"), str(spec.bundle / "modules") if spec.bundle else "-"]
    start = "init" if facts else "rdinit"
    line = " ".join([*arguments, f"{start}={_quoted(str(spec.python))}", "--", *map(_quoted, init)])
    if len(line.encode()) > _LIMIT:
        raise HostFault(
            f"the kernel command line has {len(line.encode())} bytes; the limit is {_LIMIT}",
            hint="pass less with --append, or use shorter folder names",
        )
    return line


def _quoted(word: str) -> str:
    if '"' in word:
        raise HostFault(
            f'cannot pass {word} on the kernel command line: it contains a "',
            hint='use a folder without " in its name',
        )
    # Always quoted: outside of quotes the kernel treats some bytes of UTF-8 letters as spaces.
    return f'"{word}"'


@functools.cache
def tsc_khz() -> int:
    """Return the frequency of this machine's TSC in kHz; 0 if it cannot be measured.

    Under emulation guests read the host's TSC.  A guest that calibrates it against an emulated
    timer is sometimes off by a factor of ten on a busy host, and so are its sleeps and deadlines.
    """
    if platform.machine() != "x86_64":
        return 0
    try:
        page = mmap.mmap(-1, len(_RDTSC), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:  # this machine does not allow writable and executable pages
        return 0
    page.write(_RDTSC)
    code = ctypes.c_char.from_buffer(page)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(code))
    first_ns, first_count = _time_and_count(read)
    time.sleep(_TSC_INTERVAL)
    last_ns, last_count = _time_and_count(read)
    del read, code  # otherwise the page could not be freed
    return round((last_count - first_count) * 1_000_000 / (last_ns - first_ns))


def _time_and_count(read: Callable[[], int]) -> tuple[int, int]:
    """Return a time in ns and the TSC at that time, from the most exact of several measurements."""
    samples = []
    for _ in range(20):
        before = time.monotonic_ns()
        count = read()
        after = time.monotonic_ns()
        samples.append((after - before, (before + after) // 2, count))
    _, when, count = min(samples)
    return when, count
