"""Builds the Python environments of fetched packs."""

import os

from lib import places
from squall_packs import environment
from st2common.runners.base_action import Action


class Prepare(Action):
    def run(self, staged):
        wheels = self.config.get("wheels")
        shared = self.shared(wheels)
        for one in staged:
            requirements = os.path.join(one["path"], "requirements.txt")
            if environment.asks_for_any(requirements):
                self.logger.info("building the Python environment of %s", one["pack"])
                target = os.path.join(os.path.dirname(one["path"]), "virtualenv")
                environment.build(target, [requirements], shared, wheels)
        return [one["pack"] for one in staged]

    def shared(self, wheels):
        """The environment behind that of every pack, unless it is not wished."""
        if not self.config.get("shared_environment", True):
            return None
        try:
            return environment.share(places.data(), wheels, self.logger.info)
        except environment.Failed as failure:
            # Most packs need nothing of it; those that do say what they miss.
            self.logger.warning(
                "The environment that all packs share could not be built, so what packs import "
                "without asking for it is missing; packs.setup_virtualenv tries again. %s", failure
            )
            return None
