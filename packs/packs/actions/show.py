"""Shows a pack of the index."""

from squall_packs import server
from st2common.runners.base_action import Action


class Show(Action):
    def run(self, pack):
        return {"pack": server.post("/packs/index/search", {"pack": pack}) or None}
