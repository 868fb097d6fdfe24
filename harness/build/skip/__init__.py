# SPDX-License-Identifier: GPL-2.0-only
"""Skip recompiling objects that are not affected by a change of a header.

make only compares timestamps: a new prototype in <linux/mount.h> recompiles hundreds of objects.
If it is certain which names a header gained or lost, objects whose sources do not mention them get
a new timestamp before make runs.  ``c_header`` reads headers, ``names`` compares two versions of a
header, ``objects`` decides which objects to skip.
"""

from harness.build.skip.objects import Skipped, affected, after_make, before_make

__all__ = ["Skipped", "affected", "after_make", "before_make"]
