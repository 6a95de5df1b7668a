#!/usr/bin/env python3
"""Prints processes of this host by what /proc tells about them: ids with their command lines.

Runs on other hosts, by whatever Python 3 they have, so it needs nothing but that.
"""

import json
import os
import re
import sys


def read(pid, name):
    with open("/proc/%s/%s" % (pid, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def process(pid):
    try:
        status = read(pid, "stat")
        command = read(pid, "cmdline").replace("\0", " ").strip()
    except OSError:
        # It ended while the others were read.
        return None
    # The name stands in parentheses and may hold any of its own.
    name = status[status.index("(") + 1 : status.rindex(")")]
    state = status[status.rindex(")") + 1 :].split()[0]
    return {"pid": pid, "name": command or name, "state": state}


def main(search="name", criteria="", args=""):
    pattern = re.compile(criteria)
    matches = pattern.search if search == "name" else pattern.fullmatch
    if not criteria:
        matches = pattern.match
    found = {}
    for pid in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        entry = process(pid)
        if entry and matches(entry[search]):
            found[pid] = entry["name"]
    print(json.dumps(found))
    if "pidlist" in args.split():
        sys.stderr.write(" ".join(found))


main(*sys.argv[1:4])
