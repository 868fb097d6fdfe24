# SPDX-License-Identifier: GPL-2.0-only
"""The suites' common library: nvmet and NVMe hosts, disks, fio, links, races, faults."""
