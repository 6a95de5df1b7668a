"""Compares what should run with what runs."""

from st2common.runners.base_action import Action

import fleet


class Plan(Action):
    def run(self, desired, directory):
        servers, problems = fleet.read(desired)
        if problems:
            for problem in problems:
                self.logger.error(problem)
            reason = "servers.yaml cannot be used, so nothing was touched: "
            return (False, reason + "; ".join(problems))
        plan = compare(servers, fleet.deployed(directory))
        for line in plan["lines"]:
            self.logger.info(line)
        self.logger.info(plan["summary"])
        return plan


def compare(wanted, running):
    """What to stop, then what to start or change, then what to check."""
    stops, starts, checks, lines = [], [], [], []
    counts = {"added": 0, "changed": 0, "removed": 0, "unchanged": 0}

    def note(word, server):
        counts[word] += 1
        lines.append("%s: %s on port %d" % (word, server["name"], server["port"]))

    for name, server in sorted(running.items()):
        if name not in wanted:
            note("removed", server)
            stops.append(server)
            checks.append(dict(server, wanted=False))
    for name, server in sorted(wanted.items()):
        before = running.get(name)
        if before is None:
            note("added", server)
            starts.append(dict(server, operation="start"))
        elif before == server:
            note("unchanged", server)
        elif before["port"] == server["port"]:
            note("changed", server)
            starts.append(dict(server, operation="change"))
        else:
            # A process cannot take another port.
            note("changed", server)
            stops.append(before)
            starts.append(dict(server, operation="start"))
        checks.append(dict(server, wanted=True))
    summary = ", ".join("%d %s" % (count, word) for word, count in counts.items())
    return {
        "stops": stops,
        "starts": starts,
        "checks": checks,
        "lines": lines,
        "summary": summary,
    }
