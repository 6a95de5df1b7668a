"""Throws fetched packs away."""

from lib import places
from st2common.runners.base_action import Action


class Discard(Action):
    def run(self, staged):
        for one in staged:
            places.discard(one["path"])
