"""Removes packs."""

from lib import places, server
from st2common.runners.base_action import Action


class Uninstall(Action):
    def run(self, packs):
        for name in packs:
            places.check_name(name)
            if name in places.SHIPPED:
                raise ValueError("the pack %s is part of the server and can't be removed" % name)
            if not places.is_installed(name) and not server.exists("/packs/" + name):
                raise ValueError("there is no pack %s" % name)
        for name in packs:
            server.delete("/packs/" + name)
            places.remove(name)
            self.logger.info("removed %s", name)
        return packs
