"""Writes down what was done."""

import os

from st2common.runners.base_action import Action

import fleet


class Report(Action):
    def run(self, commit, author, summary, lines, directory):
        text = ["# Servers", "", "Commit %s by %s: %s." % (commit, author, summary), ""]
        text += ["- %s" % line for line in lines]
        text += ["", "| server | address | process | settings |", "|---|---|---|---|"]
        for name, server in sorted(fleet.deployed(directory).items()):
            settings = ", ".join("%s: %s" % item for item in sorted(server["settings"].items()))
            address = "http://127.0.0.1:%d/" % server["port"]
            text.append("| %s | %s | %d | %s |" % (name, address, fleet.pid(directory, name), settings))
        path = os.path.join(directory, "report.md")
        fleet.write(path, "\n".join(text) + "\n")
        self.logger.info("the report is in %s", path)
        return {"path": path}
