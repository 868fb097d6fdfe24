# SPDX-License-Identifier: GPL-2.0-only
import gzip

from harness.guestside import kmsg, probe


def test_a_kernel_record_reads_like_dmesg() -> None:
    record = "6,339,5140900,-;NET: Registered PF_INET6\n SUBSYSTEM=net\n DEVICE=+x\n"
    assert kmsg._lines(record) == ["[    5.140900] NET: Registered PF_INET6"]


def test_what_programs_write_is_left_out() -> None:
    assert kmsg._lines("13,400,6000000,-;BUG: KASAN: in my words\n") == []
    assert kmsg._lines("10,400,6000000,-;harness: start t.py::a\n") == []


def test_every_line_of_a_record_has_its_stamp() -> None:
    # The kernel escapes the breaks within a message.
    assert kmsg._lines("4,1,1000001,c;one\\x0atwo\n") == [
        "[    1.000001] one",
        "[    1.000001] two",
    ]


def test_a_stack_frame_is_a_message_and_not_structured_data() -> None:
    record = "4,1,1000001,-; lkdtm_BUG+0x1/0x2\n DEVICE=+x\n"
    assert kmsg._lines(record) == ["[    1.000001]  lkdtm_BUG+0x1/0x2"]


def test_the_running_kernel_is_compared_with_the_request() -> None:
    config = gzip.compress(b'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=8\nCONFIG_S="x=y"\n')
    assert probe.missing({"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_S": '"x=y"'}, config) == []
    assert probe.missing({"CONFIG_B": "y", "CONFIG_N": "9", "CONFIG_C": "n"}, config) == [
        "CONFIG_B: expected y, is n",
        "CONFIG_N: expected 9, is 8",
    ]
