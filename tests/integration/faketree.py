# SPDX-License-Identifier: GPL-2.0-only
"""A git repository of a dozen files that behaves like a kernel tree, in seconds.

``make(path)`` writes it, with one commit and the tag v7.2.13.  Its Makefile knows allnoconfig,
tinyconfig, olddefconfig, kernelrelease, vmlinux, bzImage, Image, headers, modules, and honors O=,
ARCH=, CROSS_COMPILE=, LLVM=, LOCALVERSION=, KCONFIG_CONFIG and KCONFIG_ALLCONFIG.  Its C files are
compiled by the real compiler, so warnings, errors and incremental builds are real, and so are the
records of what was compiled.  Its Kconfig has every option of the harness's own fragments, and a
few with dependencies (FAKE_*); FAKE_DRIVER, which no fragment asks for, builds drivers/fake.

``commit(tree, subject, {file: text})`` adds a commit, ``checkout(tree)`` describes the tree as
the build stage wants it.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from harness import process
from harness.model import Checkout

TAG = "v7.2.13"
KCONFIGS = Path(__file__).parents[2] / "kconfigs"

_IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_NAME": "A Developer" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "dev@example.com" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": "2026-06-13T12:00:00Z" for who in ("AUTHOR", "COMMITTER")},
}

_MAKEFILE = r"""# SPDX-License-Identifier: GPL-2.0-only
VERSION = 7
PATCHLEVEL = 2
SUBLEVEL = 13
EXTRAVERSION =
NAME = Fake Tree

srctree := $(CURDIR)
objtree := $(abspath $(or $(O),.))
KCONFIG := $(or $(KCONFIG_CONFIG),.config)
KCONFIG := $(if $(filter /%,$(KCONFIG)),$(KCONFIG),$(objtree)/$(KCONFIG))
KERNELVERSION = $(VERSION).$(PATCHLEVEL).$(SUBLEVEL)$(EXTRAVERSION)
CC = $(if $(LLVM),clang,$(CROSS_COMPILE)gcc)
LD = $(if $(LLVM),ld.lld,$(CROSS_COMPILE)ld)
AR = $(if $(LLVM),llvm-ar,$(CROSS_COMPILE)ar)

-include $(KCONFIG)

obj-y := init/main.o fs/namespace.o
obj-$(CONFIG_CONFIGFS_FS) += fs/configfs/dir.o fs/configfs/mount.o
obj-$(CONFIG_FAKE_DRIVER) += drivers/fake/driver.o
obj-$(CONFIG_NVME_TARGET) += drivers/nvme/target/configfs.o drivers/nvme/target/core.o
objects := $(addprefix $(objtree)/,$(obj-y))
release := $(objtree)/include/config/kernel.release
# What C files may ask for: the real kernel has a header of all options.
options := CONFIGFS_FS NVME_TARGET $(patsubst CONFIG_%,%,$(filter CONFIG_FAKE_%,$(.VARIABLES)))
defined := $(foreach o,$(options),$(if $(filter y,$(CONFIG_$(o))),-DCONFIG_$(o)=1))
warn = $(if $(W),-Wunused-macros)
compile = $(CC) -std=gnu11 -Wall -Wextra -I$(srctree)/include $(defined) $(warn) $(KCFLAGS)

# Single objects may be asked for by their names in the tree.
$(filter %.o,$(MAKECMDGOALS)): %: $(objtree)/%
	@$(if $(C),echo "  CHECK   $*"; $(CHECK) $(srctree)/$(patsubst %.o,%.c,$*),:)

bzImage: $(objtree)/arch/x86/boot/bzImage
Image: $(objtree)/arch/arm64/boot/Image
vmlinux: $(objtree)/vmlinux

allnoconfig olddefconfig tinyconfig:
	@@PYTHON@ -I -S $(srctree)/scripts/conf.py $@ $(srctree)/Kconfig $(KCONFIG)

kernelrelease:
	@echo $(KERNELVERSION)$(LOCALVERSION)

$(release): $(srctree)/Makefile $(KCONFIG)
	@mkdir -p $(@D)
	@echo $(KERNELVERSION)$(LOCALVERSION) > $@
	@printf 'deps_config := \\\n\tKconfig \\\n' > $(@D)/auto.conf.cmd

$(objtree)/%.o: $(srctree)/%.c $(KCONFIG)
	@mkdir -p $(@D)
	@echo "  CC      $*.o"
	@$(compile) -MMD -MF $(@D)/.$(@F).d -c -o $@ $(srctree)/$*.c
	@{ echo 'savedcmd_$*.o := $(compile) -c -o $*.o $(srctree)/$*.c'; echo; \
	echo 'source_$*.o := $(srctree)/$*.c'; echo; echo 'deps_$*.o := \'; \
	sed -n 's|^#if.*CONFIG_\([A-Z_]*\).*|  $$(wildcard include/config/\1) \\|p' $(srctree)/$*.c; \
	tr -s ' \\' '\n' < $(@D)/.$(@F).d | sed -n '/\.c$$/d;s|^/.*|  & \\|p'; echo; \
	} > $(@D)/.$(@F).cmd

$(objtree)/vmlinux: $(objects) $(release)
	@echo "  LD      vmlinux"
	@$(LD) -r -o $@ $(objects)
	@rm -f $(@D)/vmlinux.a && cd $(@D) && $(AR) rcsT vmlinux.a $(obj-y)

$(objtree)/arch/%: $(objtree)/vmlinux
	@mkdir -p $(@D)
	@cp $< $@
	@echo "Kernel: arch/$* is ready  (#1)"

headers:
	@rm -rf $(objtree)/usr/include && mkdir -p $(objtree)/usr/include
	@cp -r $(srctree)/include/uapi/. $(objtree)/usr/include

modules: $(release)
	@mkdir -p $(objtree)/samples
	@echo "  CC [M]  samples/sample.o"
	@echo module > $(objtree)/samples/sample.ko

modules_install:
	@mkdir -p $(INSTALL_MOD_PATH)/lib/modules/$(KERNELVERSION)/kernel
	@cp $(objtree)/samples/sample.ko $(INSTALL_MOD_PATH)/lib/modules/$(KERNELVERSION)/kernel
	@ln -s $(objtree) $(INSTALL_MOD_PATH)/lib/modules/$(KERNELVERSION)/build
	@touch $(INSTALL_MOD_PATH)/lib/modules/$(KERNELVERSION)/modules.dep

-include $(foreach o,$(objects),$(dir $(o)).$(notdir $(o)).d)
.DELETE_ON_ERROR:
.PHONY: bzImage Image headers modules modules_install vmlinux
.PHONY: allnoconfig olddefconfig tinyconfig kernelrelease
"""

_CONF = r'''# SPDX-License-Identifier: GPL-2.0-only
"""What scripts/kconfig/conf does, for a Kconfig of plain options."""
import os
import re
import sys

goal, kconfig, config = sys.argv[1:]
kinds, depends, selects, defaults, hidden, name = {}, {}, {}, {}, set(), None
for line in open(kconfig):
    word, _, rest = line.strip().partition(" ")
    if word == "config":
        name = rest
        depends[name], selects[name] = [], []
    elif word in ("bool", "tristate", "int", "string"):
        kinds[name] = word
        hidden |= set() if rest else {name}
    elif word == "default":
        defaults[name] = rest
    elif word == "depends":
        depends[name] += [part.strip() for part in rest.removeprefix("on ").split("&&")]
    elif word == "select":
        selects[name].append(rest)


def read(path):
    text = open(path).read() if path and os.path.exists(path) else ""
    found = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.M))
    return {**found, **{n: "n" for n in re.findall(r"^# CONFIG_(\w+) is not set", text, re.M)}}


def met(part, got):
    on = got.get(part.lstrip("!"), "n") != "n"
    return on != part.startswith("!")


asked = read(config if goal == "olddefconfig" else os.environ.get("KCONFIG_ALLCONFIG"))
got = {}
for _ in range(5):  # dependencies and selects settle
    for name, kind in kinds.items():
        value = defaults.get(name, "n")
        if name not in hidden:
            value = asked.get(name, value)
        if kind == "bool" and value == "m":
            value = "n"
        if not all(met(part, got) for part in depends[name]):
            value = "n"
        if any(name in some and got.get(by, "n") != "n" for by, some in selects.items()):
            value = "y"
        got[name] = value
with open(config, "w") as file:
    for name, value in got.items():
        file.write(f"# CONFIG_{name} is not set\n" if value == "n" else f"CONFIG_{name}={value}\n")
'''

_KCONFIG = """# SPDX-License-Identifier: GPL-2.0-only
mainmenu "Fake Tree"

config FAKE_FEATURE
    bool "A feature without dependencies"

config FAKE_DRIVER
    bool "A driver that needs the feature"
    depends on FAKE_FEATURE

config FAKE_SELECTED
    bool "Something that others select"

config FAKE_SELECTOR
    bool "Something that selects"
    select FAKE_SELECTED

config FAKE_HIDDEN
    bool
    default y

config FAKE_NUMBER
    int "A number"
    default 4
"""

_FILES = {
    ".gitignore": "*.o\n.config\nvmlinux\n",
    "COPYING": "SPDX-License-Identifier: GPL-2.0-only\n",
    "MAINTAINERS": "CONFIGFS\nM:\tA Developer <dev@example.com>\nF:\tfs/configfs/\n",
    "Kbuild": "# SPDX-License-Identifier: GPL-2.0-only\n",
    "README": "A fake tree for tests.\n",
    "arch/x86/Kconfig": "# SPDX-License-Identifier: GPL-2.0-only\n",
    "arch/arm64/Kconfig": "# SPDX-License-Identifier: GPL-2.0-only\n",
    "include/linux/configfs.h": (
        "/* SPDX-License-Identifier: GPL-2.0 */\n"
        "struct config_item {\n\tconst char *name;\n\tint count;\n};\n\n"
        "int configfs_register(struct config_item *item);\n"
    ),
    "init/main.c": (
        "// SPDX-License-Identifier: GPL-2.0\n#include <linux/configfs.h>\n\n"
        "int start_kernel(void);\n\n"
        'int start_kernel(void)\n{\n\tstruct config_item item = { "init", 0 };\n\n'
        "\treturn item.count;\n}\n"
    ),
    "fs/namespace.c": (
        "// SPDX-License-Identifier: GPL-2.0\nint mnt_id(void);\n\n"
        "int mnt_id(void)\n{\n\treturn 1;\n}\n"
    ),
    "fs/configfs/dir.c": (
        "// SPDX-License-Identifier: GPL-2.0\n#include <linux/configfs.h>\n\n"
        "int configfs_register(struct config_item *item)\n{\n"
        "\titem->count++;\n\treturn 0;\n}\n"
    ),
    "fs/configfs/mount.c": (
        "// SPDX-License-Identifier: GPL-2.0\nint configfs_mounts(void);\n\n"
        "int configfs_mounts(void)\n{\n\treturn 1;\n}\n"
    ),
    "drivers/fake/driver.c": (
        "// SPDX-License-Identifier: GPL-2.0\nint fake_driver(void);\n\n"
        "int fake_driver(void)\n{\n\treturn 0;\n}\n"
    ),
    "drivers/nvme/target/core.c": (
        "// SPDX-License-Identifier: GPL-2.0\nint nvmet_core(void);\n\n"
        "int nvmet_core(void)\n{\n\treturn 0;\n}\n"
    ),
    "drivers/nvme/target/configfs.c": (
        "// SPDX-License-Identifier: GPL-2.0\n#include <linux/configfs.h>\n\n"
        "int nvmet_configfs(void);\n\n"
        'int nvmet_configfs(void)\n{\n\tstruct config_item item = { "nvmet", 0 };\n\n'
        "\treturn configfs_register(&item);\n}\n"
    ),
}


def make(path: Path) -> Path:
    """Write the tree into ``path`` and give it: a git repository with one commit, tagged."""
    files = {
        "Makefile": _MAKEFILE.replace("@PYTHON@", shlex.quote(sys.executable)),
        "scripts/conf.py": _CONF,
        "Kconfig": _kconfig(),
        **_FILES,
    }
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=master")
    commit(path, "Fake Tree 7.2.13", files)
    git(path, "tag", "--annotate", "--message=Fake Tree 7.2.13", TAG)
    return path


def commit(tree: Path, subject: str, files: Mapping[str, str]) -> str:
    """Write ``files`` and commit them; give the commit."""
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    git(tree, "add", "--force", "--", *files)
    git(tree, "commit", "--quiet", "--message", subject)
    return git(tree, "rev-parse", "HEAD")


def checkout(tree: Path, base: str = TAG) -> Checkout:
    """Describe the tree at HEAD; what was committed after ``base`` are its patches."""
    lines = git(tree, "log", "--reverse", "--format=%H %s", f"{base}..HEAD").splitlines()
    patches = tuple((line[:40], line[41:]) for line in lines)
    head = git(tree, "rev-parse", "HEAD")
    return Checkout(tree, head, git(tree, "rev-parse", "HEAD^{tree}"), patches)


def git(tree: Path, *words: str) -> str:
    """Run git there without anybody's configuration; give what it printed."""
    return process.run(["git", *words], cwd=tree, env=_IDENTITY).stdout.strip()


def _kconfig() -> str:
    """Return the fake options and those of the harness's fragments, by type of value."""
    options = dict(
        pair
        for file in sorted(KCONFIGS.glob("*.config"))
        for pair in re.findall(r"^CONFIG_(\w+)=(.*)$", file.read_text(), re.MULTILINE)
    )
    return _KCONFIG + "".join(
        f'\nconfig {name}\n    {_kind(value)} "{name}"\n' for name, value in options.items()
    )


def _kind(value: str) -> str:
    if value in ("y", "m", "n"):
        return "tristate" if value == "m" else "bool"
    return "string" if value.startswith('"') else "int"
