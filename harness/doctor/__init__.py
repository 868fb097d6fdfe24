# SPDX-License-Identifier: GPL-2.0-only
"""The machine: what the harness needs of it, what is there, and what installs the rest."""

from harness.doctor.installers import Installer, install, install_command, installer, missing
from harness.doctor.look import Check, State, examine
from harness.doctor.needs import NEEDS, Level, Need, Packages

__all__ = [
    "NEEDS",
    "Check",
    "Installer",
    "Level",
    "Need",
    "Packages",
    "State",
    "examine",
    "install",
    "install_command",
    "installer",
    "missing",
]
