"""Finds the installed packs of which there is something newer where they came from."""

import os

from lib import newer, places
from squall_packs import server
from st2common.runners.base_action import Action


class LookForUpgrades(Action):
    def run(self, packs=None):
        wanted, kept = [], {}
        for name in packs or self.installed():
            try:
                found, reason = newer.look(name)
            except (newer.Unknown, ValueError, server.Refused) as error:
                if packs:
                    raise ValueError("%s can't be upgraded: %s" % (name, error)) from None
                found, reason = None, str(error)
            if found:
                wanted.append(found)
            else:
                kept[name] = reason
                self.logger.info("%s: %s", name, reason)
        return {"packs": wanted, "kept": kept}

    def installed(self):
        names = os.listdir(places.installed()) if os.path.isdir(places.installed()) else []
        return sorted(name for name in names if places.current(name))
