# SPDX-License-Identifier: GPL-2.0-only
"""Check this machine: what the harness needs, what is present, and how to install what is not."""

from harness.doctor.installers import Installer, install, install_command, installer, missing
from harness.doctor.machine import NeedCheck, NeedState, examine
from harness.doctor.needs import NEEDS, Need, NeedLevel, Packages

__all__ = [
    "NEEDS",
    "Installer",
    "Need",
    "NeedCheck",
    "NeedLevel",
    "NeedState",
    "Packages",
    "examine",
    "install",
    "install_command",
    "installer",
    "missing",
]
