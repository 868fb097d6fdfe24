# SPDX-License-Identifier: GPL-2.0-only
"""The kernel runs ``init.py FACTS BUNDLE``.  It is short: Python does not cache scripts.

FACTS is "-" in a prepared image: the host names the file when it lets the guest pass the gate.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    if sys.argv[2] != "-":
        from harness.guestside import bundled

        bundled.install(sys.argv[2])
    from harness.guestside import bootstrap

    facts = sys.argv[1]
    if facts == "-":
        from harness.guestside import gate

        facts = gate.wait()
    bootstrap.main(facts)
