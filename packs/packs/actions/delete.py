"""Removes the files of packs."""

from lib import places
from st2common.runners.base_action import Action


class Delete(Action):
    def run(self, packs, delete_env=True):
        places.check_removable(packs)
        for name in packs:
            places.remove(name)
        return packs
