# SPDX-License-Identifier: GPL-2.0-only
"""The modules of NVMe's two sides, on kernels that have them as modules."""

from __future__ import annotations

import subprocess

from harness.guestside import kernelfiles

# In the order of loading; each may need those before it.
_MODULES = {
    "CONFIG_NVME_FABRICS": "nvme_fabrics",
    "CONFIG_NVME_TCP": "nvme_tcp",
    "CONFIG_NVME_FC": "nvme_fc",
    "CONFIG_NVME_TARGET": "nvmet",
    "CONFIG_NVME_TARGET_LOOP": "nvme_loop",
    "CONFIG_NVME_TARGET_TCP": "nvmet_tcp",
    "CONFIG_NVME_TARGET_FC": "nvmet_fc",
    "CONFIG_NVME_TARGET_FCLOOP": "nvme_fcloop",
}


def target() -> list[str]:
    """Return the modules of the target, in the order of loading; none where it is built in."""
    return [name for option, name in _MODULES.items() if "TARGET" in option and _is_module(option)]


def load() -> None:
    """Load all that are modules."""
    for option, name in _MODULES.items():
        if _is_module(option):
            modprobe(name)


def unload_target() -> None:
    """Unload the target.  Raises AssertionError with the kernel's refusal."""
    for name in reversed(target()):
        modprobe("--remove", name)


def modprobe(*words: str) -> None:
    """Run modprobe.  Raises AssertionError with its message."""
    done = subprocess.run(["modprobe", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _is_module(option: str) -> bool:
    return kernelfiles.options().get(option) == "m"
