# SPDX-License-Identifier: GPL-2.0-only
"""The nvmet configuration of a configfs instance: values, and what writes and removes them."""

from harness.guestside.nvmet.instance import Instance
from harness.guestside.nvmet.values import (
    CONFIGFS,
    DISCOVERY_NQN,
    AnaGroup,
    Host,
    Namespace,
    Port,
    Referral,
    Subsystem,
    Value,
    loop_port,
    tcp_port,
)

__all__ = [
    "CONFIGFS",
    "DISCOVERY_NQN",
    "AnaGroup",
    "Host",
    "Instance",
    "Namespace",
    "Port",
    "Referral",
    "Subsystem",
    "Value",
    "loop_port",
    "tcp_port",
]
