"""Starts, changes or stops one server."""

from st2common.runners.base_action import Action

import fleet


class Operate(Action):
    def run(self, operation, name, port, settings, directory):
        server = {"name": name, "port": port, "settings": settings or {}}
        try:
            if operation == "start":
                pid = fleet.start(directory, server)
            elif operation == "change":
                pid = fleet.change(directory, server)
            else:
                pid = fleet.stop(directory, name)
        except fleet.Failed as error:
            self.logger.error("%s", error)
            return (False, str(error))
        done = {"start": "started", "change": "changed", "stop": "stopped"}[operation]
        self.logger.info("%s %s: process %s, port %d", done, name, pid, port)
        return {"name": name, "port": port, "pid": pid, "done": done}
