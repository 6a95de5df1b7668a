"""Fetches packs into directories of their own."""

from lib import places, source
from st2common.runners.base_action import Action


class Download(Action):
    def run(self, packs, skip_dependencies=False, force=False):
        staged, warnings, seen = [], [], set()
        waiting = list(packs)
        try:
            while waiting:
                wanted = waiting.pop(0)
                if wanted in seen:
                    continue
                seen.add(wanted)
                self.logger.info("fetching %s", wanted)
                found = source.fetch(wanted)
                staged.append({"pack": found.ref, "version": found.version, "path": found.path})
                if found.ref in places.SHIPPED:
                    raise ValueError("the pack %s is part of the server" % found.ref)
                problems = source.misfits(found.metadata)
                if problems and not force:
                    raise ValueError("%s: %s. Use force to install it all the same." % (
                        found.ref, "; ".join(problems)))
                warnings.extend("%s: %s" % (found.ref, problem) for problem in problems)
                if not skip_dependencies:
                    waiting.extend(self.missing(found))
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

    def missing(self, found):
        """What a pack depends on and is not there; what is there in another version is an error."""
        missing = []
        for wanted in found.metadata.get("dependencies") or []:
            installed = places.find(source.name_of(wanted))
            if installed is None:
                missing.append(wanted)
                continue
            version = source.split(wanted)[1]
            there = str(source.read_metadata(installed, wanted).get("version"))
            if version and version.lstrip("v") != there:
                raise ValueError(
                    "%s depends on %s, and %s is installed: install that version first, or use "
                    "skip_dependencies" % (found.ref, wanted, there)
                )
        return missing
