"""Fetches packs into directories of their own."""

from lib import places, source
from st2common.runners.base_action import Action


class Download(Action):
    def run(self, packs, skip_dependencies=False, force=False):
        index = self.config.get("index")
        staged, warnings, seen = [], [], set()
        waiting = list(packs)
        try:
            while waiting:
                wanted = waiting.pop(0)
                if wanted in seen:
                    continue
                seen.add(wanted)
                self.logger.info("fetching %s", wanted)
                found = source.fetch(wanted, index)
                staged.append({"pack": found.ref, "version": found.version, "path": found.path})
                if found.ref in places.SHIPPED:
                    raise ValueError("the pack %s is part of the server" % found.ref)
                problems = source.misfits(found.metadata)
                if problems and not force:
                    raise ValueError("%s: %s. Use force to install it all the same." % (
                        found.ref, "; ".join(problems)))
                warnings.extend("%s: %s" % (found.ref, problem) for problem in problems)
                if not skip_dependencies:
                    waiting.extend(
                        name for name in found.metadata.get("dependencies") or []
                        if not places.is_installed(source.name_of(name))
                    )
        except Exception:
            for one in staged:
                places.discard(one["path"])
            raise
        names = [one["pack"] for one in staged]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            for one in staged:
                places.discard(one["path"])
            raise ValueError("asked for twice, from different places: %s" % ", ".join(repeated))
        return {"staged": staged, "warnings": warnings}
