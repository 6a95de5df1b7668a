"""The part of `oslo_config.cfg` by which packs read the server's settings.

A pack that has the real library in its environment gets that one.
"""

import os

__all__ = ["CONF", "ConfigOpts", "NoSuchOptError"]


class Error(Exception):
    pass


class NoSuchOptError(Error, AttributeError):
    def __init__(self, name, group=None):
        self.opt_name, self.group = name, group
        super().__init__(
            "no such option %s in group [%s]: actions can't see the server's settings, except "
            "where it and its packs are" % (name, group or "DEFAULT")
        )


class Group(object):
    """Options by name, as attributes and as items."""

    def __init__(self, name, options):
        self._name, self._options = name, options

    def __getattr__(self, name):
        options = self.__dict__["_options"]
        if name not in options:
            raise NoSuchOptError(name, self.__dict__["_name"])
        return options[name]

    def __getitem__(self, name):
        return getattr(self, name)

    def __contains__(self, name):
        return name in self._options

    def __iter__(self):
        return iter(self._options)

    def get(self, name, default=None):
        return self._options.get(name, default)


def _groups():
    base = os.environ.get("ST2_BASE_PATH", "/opt/stackstorm")
    packs = os.environ.get("ST2_PACKS_BASE_PATHS", os.path.join(base, "packs")).split(":")
    api_url = os.environ.get("ST2_ACTION_API_URL") or os.environ.get("ST2_API_URL", "")
    where = api_url.partition("://")[2].partition("/")[0]
    host, _, port = where.rpartition(":")
    port = int(port) if host and port.isdigit() else 9101
    # One port serves all of the server's APIs.
    listens = {"host": host or where or "127.0.0.1", "port": port}
    return {
        "api": dict(listens, use_ssl=False, mask_secrets=True),
        "auth": dict(
            listens, use_ssl=False, enable=True, api_url=api_url,
            service_token_ttl=24 * 60 * 60, token_ttl=24 * 60 * 60,
        ),
        "content": {
            "packs_base_paths": ":".join(packs[1:]),
            "system_packs_base_path": packs[0],
            "pack_group": "st2packs",
            "index_url": [],
        },
        "stream": dict(listens, heartbeat=25),
        "system": {
            "base_path": base,
            "debug": False,
            "packs_base_path": packs[-1],
            "validate_output_schema": False,
        },
        "system_user": {"user": os.environ.get("USER", "stanley"), "ssh_key_file": ""},
    }


class ConfigOpts(object):
    """The settings, by group."""

    def __init__(self):
        self._read = None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        # Read late: the environment of an action is set after this module may have been imported.
        if self._read is None:
            self._read = {name: Group(name, options) for name, options in _groups().items()}
        if name not in self._read:
            raise NoSuchOptError(name)
        return self._read[name]

    def __getitem__(self, name):
        return getattr(self, name)

    def __call__(self, *arguments, **options):
        """Reading settings files is the server's business."""


CONF = ConfigOpts()
