"""Puts fetched packs in force."""

from lib import places
from squall_packs import server
from st2common.runners.base_action import Action


class Activate(Action):
    def run(self, staged):
        names = [one["pack"] for one in staged]
        before = {name: places.current(name) for name in names}
        try:
            for one in staged:
                places.point(one["pack"], one["path"])
            counts = server.post("/packs/register", {"packs": names})
        except Exception:
            for name in names:
                places.point(name, before[name])
            again = [name for name in names if before[name]]
            if again:
                server.post("/packs/register", {"packs": again})
            for one in staged:
                places.discard(one["path"])
            raise
        for finding in counts.get("findings") or []:
            self.logger.warning("%(pack)s/%(file)s:%(line)s: %(message)s", finding)
        return {"packs": names, "registered": counts}
