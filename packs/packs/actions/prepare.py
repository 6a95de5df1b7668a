"""Builds the Python environments of fetched packs."""

from lib import environment
from st2common.runners.base_action import Action


class Prepare(Action):
    def run(self, staged):
        wheels = self.config.get("wheels")
        for one in staged:
            if environment.build(one["path"], wheels):
                self.logger.info("built the Python environment of %s", one["pack"])
        return [one["pack"] for one in staged]
