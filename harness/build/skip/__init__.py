# SPDX-License-Identifier: GPL-2.0-only
"""Do not compile again the objects that a change of a header cannot change.

make knows only times: one more prototype in <linux/mount.h> compiles hundreds of objects again.
Where it is certain which names a header gained or lost, an object whose sources do not mention
them gets a new time before make looks.  ``c_header`` reads headers, ``names`` compares two versions
of one, ``objects`` decides about objects.
"""

from harness.build.skip.objects import Skipped, after_make, before_make

__all__ = ["Skipped", "after_make", "before_make"]
