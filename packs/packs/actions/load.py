"""Registers packs."""

from squall_packs import server
from st2common.runners.base_action import Action


class Load(Action):
    def run(self, packs=None, register="all"):
        counts = server.post("/packs/register", {"packs": packs} if packs else {})
        for finding in counts.pop("findings", []):
            self.logger.warning("%(pack)s/%(file)s:%(line)s: %(message)s", finding)
        return counts
