# SPDX-License-Identifier: GPL-2.0-only
"""System calls that Python lacks; errors are raised as OSError.

System call numbers 424 and above are the same on every architecture; older calls go through libc.
Returned descriptors are close-on-exec, and the caller must close them.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE = 1, 32, 4096, 8192
MS_REC, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 16384, 1 << 17, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_NAMESPACE = 2
MOVE_MOUNT_F_EMPTY_PATH = 4
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING = 0, 1
FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE, FSCONFIG_CMD_CREATE_EXCL = 6, 7, 8
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR_IDMAP = 0x00100000

STATMOUNT_SB_BASIC, STATMOUNT_MNT_BASIC, STATMOUNT_MNT_ROOT = 0x1, 0x2, 0x8
STATMOUNT_MNT_POINT, STATMOUNT_FS_TYPE, STATMOUNT_MNT_NS_ID = 0x10, 0x20, 0x40
STATMOUNT_SB_SOURCE = 0x200
STATMOUNT_BY_FD = 1
LSMT_ROOT = 0xFFFFFFFFFFFFFFFF

PR_SET_PDEATHSIG = 1
_NS_GET_MNTNS_ID = 0x8008B705

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _FSPICK, _CLONE3 = (
    428,
    429,
    430,
    431,
    432,
    433,
    435,
)
_MOUNT_SETATTR = 442
_STATMOUNT, _LISTMOUNT, _LISTNS = 457, 458, 470
_CLOEXEC_OPEN_TREE = os.O_CLOEXEC
_BUFFER = 1 << 16  # for statmount's strings

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, name: str, about: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", about or None)
    return result


def syscall(name: str, number: int, *args: object) -> int:
    """Do a system call by its number.  Raises OSError, which says its name."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return _check(int(_libc.syscall(ctypes.c_long(number), *converted)), name)


def unshare(flags: int) -> None:
    """Move the caller into new namespaces, of the kinds in ``flags``."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """Join the namespace ``fd``; if it is a pidfd, that task's namespaces selected by ``flags``."""
    _check(_libc.setns(fd, flags), "setns")


def mount(source: str, where: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    strings = [s.encode() if s else None for s in (source, where, kind)]
    call = _libc.mount
    call.argtypes = [*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p]
    _check(call(*strings, flags, data.encode() if data else None), "mount", where)


def umount(where: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(where.encode(), flags), "umount2", where)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    number = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
    syscall("pivot_root", number, new.encode(), old.encode())


def die_with_parent() -> None:
    """Make the kernel kill the caller when its parent dies."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl")


def clone3(flags: int) -> int:
    """Fork into new namespaces; like os.fork(), return 0 in the child and its pid in the parent."""
    args = struct.pack("=11Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    # PyDLL holds the GIL during the call: if another thread of the parent held it, the child would
    # wait forever.
    api = ctypes.PyDLL(None, use_errno=True)
    api.syscall.restype = ctypes.c_long
    api.PyOS_BeforeFork()
    pid = int(api.syscall(ctypes.c_long(_CLONE3), args, ctypes.c_long(len(args))))
    number = ctypes.get_errno()
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    api.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone3: {os.strerror(number)}")
    return pid


def open_tree(path: str, flags: int, at: int = AT_FDCWD) -> int:
    """Return a descriptor for a mount, its copy (OPEN_TREE_CLONE) or a namespace with it."""
    flags |= _CLOEXEC_OPEN_TREE
    return syscall("open_tree", _OPEN_TREE, at, path.encode(), flags)


def move_mount(mount_fd: int, where: str) -> None:
    """Attach the mount of ``mount_fd`` at ``where``."""
    flags = MOVE_MOUNT_F_EMPTY_PATH
    syscall("move_mount", _MOVE_MOUNT, mount_fd, b"", AT_FDCWD, where.encode(), flags)


def fsopen(kind: str) -> int:
    """Return a new context for a file system of type ``kind``."""
    return syscall("fsopen", _FSOPEN, kind.encode(), 1)


def fspick(where: str) -> int:
    """Return a context to reconfigure the file system that is mounted at ``where``."""
    return syscall("fspick", _FSPICK, AT_FDCWD, where.encode(), 1)


def fsconfig(fd: int, command: int, key: str = "", value: str = "") -> None:
    """Set a parameter of a file system context, or run another FSCONFIG_* command on it."""
    name = key.encode() if key else None
    syscall("fsconfig", _FSCONFIG, fd, command, name, value.encode() if value else None, 0)


def fsmount(fd: int, attributes: int = 0) -> int:
    """Return a detached mount for a file system context, after FSCONFIG_CMD_CREATE."""
    return syscall("fsmount", _FSMOUNT, fd, 1, attributes)


def mount_setattr(
    where: str,
    *,
    add: int = 0,
    clear: int = 0,
    propagation: int = 0,
    flags: int = 0,
    userns: int = 0,
) -> None:
    """Change a mount's attributes (MOUNT_ATTR_*) and propagation (MS_*).

    AT_RECURSIVE in ``flags`` includes all mounts below.  ``userns`` is the descriptor of the user
    namespace that MOUNT_ATTR_IDMAP maps to.
    """
    request = struct.pack("=QQQQ", add, clear, propagation, userns)
    path = where.encode()
    syscall("mount_setattr", _MOUNT_SETATTR, AT_FDCWD, path, flags, request, len(request))


@dataclasses.dataclass(frozen=True)
class MountInfo:
    """The result of statmount(); only fields selected by ``mask`` are meaningful.

    ``attributes`` are MOUNT_ATTR_*, ``propagation`` is MS_SHARED and the like.
    """

    mask: int
    id: int
    parent: int
    attributes: int
    propagation: int
    device: tuple[int, int]
    magic: int
    fs_type: str
    root: str
    point: str
    namespace: int
    source: str


_BASIC = (
    STATMOUNT_SB_BASIC
    | STATMOUNT_MNT_BASIC
    | STATMOUNT_MNT_ROOT
    | STATMOUNT_MNT_POINT
    | STATMOUNT_FS_TYPE
    | STATMOUNT_MNT_NS_ID
    | STATMOUNT_SB_SOURCE
)


def statmount(
    mount_id: int = 0, *, fd: int | None = None, mask: int = _BASIC, namespace: int = 0
) -> MountInfo:
    """Return the mount with a unique id, or the mount of ``fd`` (STATMOUNT_BY_FD)."""
    request = struct.pack("=IIQQQ", 32, 0 if fd is None else fd, mount_id, mask, namespace)
    out = ctypes.create_string_buffer(_BUFFER)
    flags = 0 if fd is None else STATMOUNT_BY_FD
    syscall("statmount", _STATMOUNT, request, out, _BUFFER, flags)
    raw = out.raw
    got, major, minor, magic = struct.unpack_from("=QIIQ", raw, 8)
    fs_type, mnt_id, parent = struct.unpack_from("=IQQ", raw, 36)
    attributes, propagation = struct.unpack_from("=QQ", raw, 64)
    root, point, ns_id, _subtype, source = struct.unpack_from("=IIQII", raw, 104)

    def text(offset: int, bit: int) -> str:
        start = 512 + offset
        return raw[start : raw.index(b"\0", start)].decode() if got & bit else ""

    return MountInfo(
        mask=got,
        id=mnt_id,
        parent=parent,
        attributes=attributes,
        propagation=propagation,
        device=(major, minor),
        magic=magic,
        fs_type=text(fs_type, STATMOUNT_FS_TYPE),
        root=text(root, STATMOUNT_MNT_ROOT),
        point=text(point, STATMOUNT_MNT_POINT),
        namespace=ns_id if got & STATMOUNT_MNT_NS_ID else 0,
        source=text(source, STATMOUNT_SB_SOURCE),
    )


def _ids(name: str, number: int, request: bytes, most: int = 4096) -> list[int]:
    out = ctypes.create_string_buffer(8 * most)
    count = syscall(name, number, request, out, most, 0)
    return list(struct.unpack_from(f"={count}Q", out.raw))


def listmount(mount_id: int = LSMT_ROOT, *, namespace: int = 0) -> list[int]:
    """Return the unique ids of the mounts below a mount, in our or in the given mount namespace."""
    return _ids("listmount", _LISTMOUNT, struct.pack("=IIQQQ", 32, 0, mount_id, 0, namespace))


def listns(kind: int) -> list[int]:
    """Return the unique ids of all active namespaces of a kind (CLONE_NEW*)."""
    return _ids("listns", _LISTNS, struct.pack("=IIQIIQ", 32, 0, 0, kind, 0, 0))


def mount_namespace_id(path: str = "/proc/self/ns/mnt") -> int:
    """Return the unique 64-bit id of a mount namespace."""
    import fcntl

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(fd, _NS_GET_MNTNS_ID, b"\0" * 8)
    finally:
        os.close(fd)
    return int.from_bytes(answer, "little")
