# SPDX-License-Identifier: GPL-2.0-only
"""Why an option did not land, read from Kconfig files."""

from __future__ import annotations

import pytest

from harness.kbuild.expression import level, read, show
from harness.kconfig import request
from harness.kconfig.explain import Reason, best_hint, reason
from harness.kconfig.fragment import compare, values
from harness.kconfig.reader import KconfigOptions, read_kconfig

TOP = """
mainmenu "Test"
source "arch/$(SRCARCH)/Kconfig"
source "drivers/*/Kconfig"
osource "not/there"

config MODULES
    bool "Modules"
    modules

config EXPERT
    bool "Expert"
    help
      depends on NOTHING, says this help text, which goes on

      after an empty line.

config NET
    bool "Networking"
    select BPF

config BPF
    bool

config OLD
    bool
    transitional

menu "Nets"
    depends on NET
    visible if EXPERT

config INET
    bool "IP"

config IPV6
    tristate "IPv6" if EXPERT
    depends on INET   # a comment with if
    default y

endmenu

if NET && \\
   INET
config NVME_TCP
    tristate "NVMe over TCP"
    depends on BLOCK || FILES
    depends on PCI if EXPERT
endif

choice
    prompt "Timer"
    depends on NET
    default HZ_250
config HZ_100
    bool "100 Hz"
config HZ_250
    bool "250 Hz"
endchoice

config LIMIT
    int "Limit"
    range 2 64 if EXPERT
    range 2 BIGGEST

config BIGGEST
    int
    default 128

config LTO
    bool "LTO"
    depends on $(cc-option,-flto=$(shell,echo thin))

config SLUB
    def_bool y

config PCI
    bool "PCI"
config TRI
    tristate "Tristate"
config NEEDS_TRI
    tristate "Needs it"
    depends on TRI
config BOOL_NEEDS_TRI
    bool "Needs it"
    depends on TRI
"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> KconfigOptions:
    tree = tmp_path_factory.mktemp("tree")
    for name, text in {
        "Kconfig": TOP,
        "arch/x86/Kconfig": 'config X86\n\tdef_bool y\nsource "arch/x86/Kconfig.cpu"\n',
        "arch/x86/Kconfig.cpu": 'config CPU\n\tbool "CPU"\n',
        "drivers/one/Kconfig": 'config ONE\n\tbool "One"\n\nrsource "sub/Kconfig"\n',
        "drivers/one/sub/Kconfig": 'config SUB\n\tbool "Sub" if X86\n\tdepends on ONE\n',
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return read_kconfig(tree, "x86")


def why(known: KconfigOptions, assignment: str, config: str) -> Reason:
    text = "".join(f"CONFIG_{line}\n" for line in config.split())
    missing = compare(request([], [assignment], []), text)
    assert len(missing) == 1
    return reason(missing[0], known, values(text))


@pytest.mark.parametrize(
    ("assignment", "config", "text"),
    [
        ("NVME_TCP=y", "NET=y BLOCK=y", "depends on INET, which is n"),
        ("NVME_TCP=y", "", "depends on NET, which is n; and on INET, which is n; and on BLOCK ||"),
        ("NVME_TCP=y", "NET=y INET=y", "BLOCK || FILES (BLOCK is n, FILES is n)"),
        ("NVME_TCP=y", "NET=y INET=y BLOCK=y EXPERT=y", "PCI || !EXPERT (PCI is n, EXPERT is y)"),
        ("NVME_TPC=y", "", "this tree has no such option"),
        ("BPF=n", "NET=y BPF=y", "selected by NET"),
        ("BPF=y", "", "no prompt; it is selected by NET"),
        ("SLUB=n", "SLUB=y", "no prompt and is on by default"),
        ("IPV6=n", "NET=y INET=y IPV6=y", "can only be changed with EXPERT, which is n"),
        ("INET=y", "NET=y", "can only be changed with EXPERT, which is n"),
        ("HZ_100=y", "NET=y HZ_250=y", "a member of a choice, and HZ_250 was selected"),
        ("HZ_250=n", "NET=y HZ_250=y", "select another: HZ_100"),
        ("HZ_100=y", "", "depends on NET, which is n"),
        ("LIMIT=100", "LIMIT=64 EXPERT=y", "range 2 to 64"),
        ("LIMIT=200", "LIMIT=64 BIGGEST=128", "range 2 to 128"),
        ("LIMIT=much", "LIMIT=64", 'of type int, and "much" is not'),
        ("NET=m", "", "of type bool, and m is not"),
        ("TRI=m", "TRI=y", "m needs MODULES, which is n"),
        ("NEEDS_TRI=y", "TRI=m NEEDS_TRI=m MODULES=y", "depends on TRI, which is m"),
        ("LTO=y", "", "which this compiler does not satisfy"),
        ("SUB=y", "X86=y", "depends on ONE, which is n"),
        ("CPU=y", "", "Kconfig set it differently, see arch/x86/Kconfig.cpu:1"),
        ("BOOL_NEEDS_TRI=y", "TRI=m", "Kconfig set it differently"),
    ],
)
def test_the_reason(known: KconfigOptions, assignment: str, config: str, text: str) -> None:
    assert text in why(known, assignment, config).text


def test_hints_name_what_to_try(known: KconfigOptions) -> None:
    assert "NVME_TCP" in why(known, "NVME_TPC=y", "").hint
    assert why(known, "NVME_TCP=y", "NET=y BLOCK=y").hint == "request CONFIG_INET=y as well"
    assert why(known, "BPF=y", "").hint == "request NET instead"
    assert "CONFIG_MODULES=y" in why(known, "TRI=m", "TRI=y").hint


def test_one_hint_serves_most_options(known: KconfigOptions) -> None:
    config = "TRI=y NEEDS_TRI=y NET=y BLOCK=y"
    wanted = ("NVME_TCP=y", "TRI=m", "NEEDS_TRI=m")
    reasons = [why(known, assignment, config) for assignment in wanted]
    assert "CONFIG_INET=y" in best_hint(reasons[:1])
    assert "CONFIG_MODULES=y" in best_hint(reasons)


def test_help_texts_are_not_read(known: KconfigOptions) -> None:
    assert not known.entries["EXPERT"][0].depends
    assert {"OLD", "NET", "CPU", "SUB"} <= known.entries.keys()


@pytest.mark.parametrize(
    ("text", "config", "value"),
    [
        ("A", "A=y", 2),
        ("A && B", "A=y B=m", 1),
        ("A || B", "B=m", 1),
        ("!A", "A=m", 1),
        ("!(A || B) && C", "C=y", 2),
        ("A = y", "A=y", 2),
        ("A!=n", "", 0),
        ("N >= 10", "N=9", 0),
        ("N < 0x10", "N=15", 2),
        ('S = "x y"', "S=z", 0),
        ("$(cc-option,-m64)", "", None),
        ("$(cc-option,-m64) && A", "", 0),
        ("$(cc-option,-m64) || A", "A=y", 2),
        ("!$(success,test -n $(x))", "", None),
        ("y", "", 2),
    ],
)
def test_expressions_are_evaluated(text: str, config: str, value: int | None) -> None:
    expression = read(text)
    assert expression is not None
    assert level(expression, dict(line.split("=") for line in config.split())) == value


@pytest.mark.parametrize("text", ["A && (B || C)", "!A || !(B && C)", "A && B=y", "N>=10"])
def test_expressions_are_written_as_they_were(text: str) -> None:
    expression = read(text)
    assert expression is not None
    assert show(expression) == text


@pytest.mark.parametrize("text", ["", "A &&", "(A", "A B", "&& A", "A = "])
def test_malformed_expressions_are_none(text: str) -> None:
    assert read(text) is None
