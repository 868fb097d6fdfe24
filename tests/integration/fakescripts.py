# SPDX-License-Identifier: GPL-2.0-only
"""Stand-ins for the kernel's own scripts, for trees of tests.

They read what the real ones read, say it in the same form, and are as simple as can be: a line
with UGLY is an error to checkpatch, a file with UNDOCUMENTED a warning of kernel-doc.
"""

from __future__ import annotations

from pathlib import Path

import faketree

_CHECKPATCH = r"""#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
my ($file, $line, $bad) = ("", 0, 0);
for my $patch (grep { !/^--/ && -f } @ARGV) {
	open(my $in, "<", $patch) or die;
	while (<$in>) {
		$file = $1 if m{^\+\+\+ b/(\S+)};
		$line = $1 - 1 if /^@@ -\S+ \+(\d+)/;
		$line++ if /^[ +]/;
		if (/^\+.*UGLY/) {
			print "$file:$line: ERROR:UGLY: this is ugly\n";
			$bad = 1;
		}
	}
}
exit $bad;
"""

_KERNEL_DOC = r"""#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
import sys

for name in sys.argv[2:]:
    for number, line in enumerate(open(name), 1):
        if "UNDOCUMENTED" in line:
            print(f"Warning: {name}:{number} it is not described", file=sys.stderr)
"""

_MAINTAINERS = r"""#!/usr/bin/env perl
# SPDX-License-Identifier: GPL-2.0-only
if (grep { $_ eq "--sections" } @ARGV) {
	print "CONFIGFS\nM:\tA Developer <dev\@example.com>\n\n" if $ARGV[-1] =~ m{^fs/configfs/};
	print "THE REST\nM:\tSomebody <rest\@example.com>\n";
} else {
	print "A Developer <dev\@example.com> (maintainer:CONFIGFS)\n";
	print "list\@example.com (open list:CONFIGFS)\n";
}
"""

_BLOAT = r"""#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
import os
import sys

old, new = (os.path.getsize(name) for name in sys.argv[1:])
print(f"Total: Before={old}, After={new}, chg +0.00%")
"""

FILES = {
    "scripts/checkpatch.pl": _CHECKPATCH,
    "scripts/get_maintainer.pl": _MAINTAINERS,
    "scripts/kernel-doc": _KERNEL_DOC,
    "scripts/bloat-o-meter": _BLOAT,
}


def add(tree: Path) -> None:
    """Commit the scripts, and move the tag of the release there."""
    faketree.commit(tree, "scripts: the kernel's own", FILES)
    faketree.git(tree, "tag", "--force", "--annotate", f"--message={faketree.TAG}", faketree.TAG)
