"""Processes by what /proc tells about them."""

import os
import re

from st2common.runners.base_action import Action


class CheckProcesses(Action):
    def run(self, search="name", criteria=""):
        pattern = re.compile(criteria)
        processes = filter(None, (self._process(pid) for pid in os.listdir("/proc")))
        return sorted(
            (process for process in processes if pattern.search(str(process[search]))),
            key=lambda process: process["pid"],
        )

    @staticmethod
    def _process(pid):
        if not pid.isdigit():
            return None
        try:
            with open("/proc/%s/stat" % pid, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            # It ended while the others were read.
            return None
        # The name stands in parentheses and may hold any of its own.
        name = text[text.index("(") + 1 : text.rindex(")")]
        state, parent = text[text.rindex(")") + 1 :].split()[:2]
        return {"pid": int(pid), "name": name, "state": state, "parent": int(parent)}
