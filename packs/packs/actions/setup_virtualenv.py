"""Builds Python environments of packs that are there."""

import os
import shutil

from lib import places
from squall_packs import environment
from st2common.runners.base_action import Action


class SetupVirtualenv(Action):
    def run(self, packs=None, update=False):
        wheels = self.config.get("wheels")
        shared = environment.share(places.data(), wheels, self.logger.info)
        for name in packs or []:
            path = places.find(name)
            if path is None:
                raise ValueError("there is no pack %s" % name)
            self.build(name, path, shared, wheels, update)
        return "built the environments of: %s" % ", ".join(packs or ["(shared)"])

    def build(self, name, path, shared, wheels, update):
        requirements = os.path.join(path, "requirements.txt")
        if not environment.asks_for_any(requirements):
            self.logger.info("%s asks for no packages and has no environment of its own", name)
            return
        link = os.path.join(places.virtualenvs(), name)
        if update and os.path.isdir(link):
            environment.fill(os.path.realpath(link), [requirements], shared, wheels)
            return
        # Beside the one in force, which runs in flight go on with.
        version = places.new_version()
        os.chmod(version, 0o755)
        # Its name tells whose version it is when old ones are removed.
        os.mkdir(os.path.join(version, name))
        target = os.path.join(version, "virtualenv")
        try:
            environment.build(target, [requirements], shared, wheels)
        except environment.Failed:
            shutil.rmtree(version, ignore_errors=True)
            raise
        places.turn(link, target)
