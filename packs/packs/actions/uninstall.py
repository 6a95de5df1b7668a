"""Removes packs."""

from lib import places
from squall_packs import server
from st2common.runners.base_action import Action


class Uninstall(Action):
    def run(self, packs):
        places.check_removable(packs)
        for name in packs:
            if places.find(name) is None and not server.exists("/packs/" + name):
                raise ValueError("there is no pack %s" % name)
        for name in packs:
            server.delete("/packs/" + name)
            places.remove(name)
            self.logger.info("removed %s", name)
        return packs
