#!/usr/bin/env python3
"""Measures a build in CPU seconds, by crate and profile.

As RUSTC_WRAPPER it appends a line for each call of rustc to $PAYGRAPH_BUILD_LOG. A line says
whether rustc made a crate, made a test, or only checked (for clippy and the docs).
With that file as its argument it prints the table:

    export PAYGRAPH_BUILD_LOG=/tmp/build.tsv RUSTC_WRAPPER=$PWD/infra/local/build_times.py
    cargo paygraph demo
    env -u RUSTC_WRAPPER python3 infra/local/build_times.py /tmp/build.tsv

CPU seconds hardly depend on what else the machine does; wall seconds do.
"""

import collections
import os
import resource
import subprocess
import sys

#: The most crates that the table names.
NAMED = 25


def wrap(command: list[str]) -> int:
    """Runs rustc and logs crate, profile folder and CPU seconds."""
    code = subprocess.call(command, close_fds=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    option = {name: command[i + 1] for i, name in enumerate(command[:-1]) if name in ("--crate-name", "--out-dir")}
    crate, folder = option.get("--crate-name", "___"), option.get("--out-dir", "")
    if crate != "___":
        parts = folder.split(os.sep)
        profile = parts[parts.index("target") + 1] if "target" in parts[:-1] else "?"
        emitted = next((word for word in command if word.startswith("--emit=")), "link")
        kind = "test" if "--test" in command else "crate" if "link" in emitted else "check"
        seconds = used.ru_utime + used.ru_stime
        with open(os.environ["PAYGRAPH_BUILD_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{profile}\t{kind}\t{crate}\t{seconds:.2f}\n")
    return code


def show(path: str) -> int:
    """Prints the sum of each profile and the most expensive crates."""
    by_profile, by_crate = collections.Counter(), collections.Counter()
    with open(path, encoding="utf-8") as log:
        for line in log:
            profile, kind, crate, seconds = line.rstrip("\n").split("\t")
            by_profile[profile, kind] += float(seconds)
            by_crate[profile, kind, crate] += float(seconds)
    for (profile, kind), seconds in sorted(by_profile.items()):
        print(f"{seconds:8.1f}  {profile} {kind}")
    print()
    for (profile, kind, crate), seconds in by_crate.most_common(NAMED):
        print(f"{seconds:8.1f}  {profile} {kind} {crate}")
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(show(arguments[0]) if len(arguments) == 1 else wrap(arguments))
