"""Takes packs out of force."""

from lib import places
from squall_packs import server
from st2common.runners.base_action import Action


class Unload(Action):
    def run(self, packs):
        places.check_removable(packs)
        for name in packs:
            server.delete("/packs/" + name)
        return packs
