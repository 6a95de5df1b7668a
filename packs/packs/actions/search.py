"""Looks for packs in the index."""

from squall_packs import server
from st2common.runners.base_action import Action


class Search(Action):
    def run(self, query):
        return server.post("/packs/index/search", {"query": query})
