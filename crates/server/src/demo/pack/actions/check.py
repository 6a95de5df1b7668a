"""Asks a server over HTTP whether it is as it should be."""

from st2common.runners.base_action import Action

import fleet


class Check(Action):
    def run(self, name, port, settings, wanted):
        answer = fleet.ask(port)
        if not wanted:
            if answer is not None and answer.get("name") == name:
                return (False, "%s still answers on port %d" % (name, port))
            self.logger.info("%s answers no more", name)
            return {"name": name, "port": port, "answers": False}
        expected = {"name": name, "port": port, "settings": settings or {}}
        if answer is None:
            return (False, "%s does not answer on port %d" % (name, port))
        if answer != expected:
            return (False, "%s answers %r, not %r" % (name, answer, expected))
        self.logger.info("%s answers on http://127.0.0.1:%d/", name, port)
        return {"name": name, "port": port, "answers": True}
