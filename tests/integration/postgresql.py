# SPDX-License-Identifier: GPL-2.0-only
"""A PostgreSQL server of our own: a private cluster in a folder, heard on a socket there only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from patience import PATIENCE


def programs() -> Path | None:
    """Give the folder of the newest server's programs, None where there is none."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr/local/pgsql").glob("bin")]
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = [one for one in places if (one / "initdb").is_file() and (one / "postgres").is_file()]
    return max(
        found,
        key=lambda one: [int(n) for n in one.parent.name.split(".") if n.isdecimal()],
        default=None,
    )


@contextlib.contextmanager
def cluster(bin: Path) -> Iterator[str]:  # noqa: A002
    """Run a server while the context lasts; gives the URL of an empty database."""
    user = _user()
    top = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
    data, words = top / "data", {"user": user} if user else {}
    try:
        if user:
            account = pwd.getpwnam(user)
            os.chown(top, account.pw_uid, account.pw_gid)
            words["group"] = account.pw_gid  # type: ignore[assignment]
        quiet = {"cwd": top, "check": True, "capture_output": True, **words}
        made = [str(bin / "initdb"), "-D", str(data), "-A", "trust", "-U", "harness", "--no-sync"]
        subprocess.run(made, **quiet)  # type: ignore[call-overload]
        options = f"-c listen_addresses='' -k {top} -c fsync=off"
        control = [str(bin / "pg_ctl"), "-D", str(data), "-w", "-t", f"{PATIENCE:.0f}"]
        log = str(top / "log")
        subprocess.run([*control, "-l", log, "-o", options, "start"], cwd=top, check=True, **words)  # type: ignore[call-overload]
        try:
            yield f"postgresql://harness@/postgres?host={quote(str(top))}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _user() -> str:
    """Give who the server runs as: it refuses root."""
    return "postgres" if os.geteuid() == 0 else ""
