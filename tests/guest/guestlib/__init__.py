# SPDX-License-Identifier: GPL-2.0-only
"""What the suites in this folder share: nvmet and NVMe hosts, disks, fio, links, races, faults."""
