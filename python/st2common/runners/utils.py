"""The configuration, the logger and the construction of Python actions."""

import logging
import os

from st2common import log  # noqa: F401  (the level AUDIT)
from st2common.content.utils import get_base_path

__all__ = ["PackConfigDict", "get_action_class_instance", "get_logger_for_python_runner_action"]

MISSING = """
Config for pack "%s" is missing key "%s".
The file %s must exist and contain that key, and it must have been registered after it was changed.
"""


class PackConfigDict(dict):
    """A pack's configuration; asked for a key that it lacks, it says what to do."""

    def __init__(self, pack_name, *args):
        super().__init__(*args)
        self._pack_name = pack_name

    def __missing__(self, key):
        path = os.path.join(get_base_path(), "configs", self._pack_name + ".yaml")
        raise ValueError(MISSING % (self._pack_name, key, path))


def get_logger_for_python_runner_action(action_name, log_level="debug"):
    """The logger of an action: all that its level lets through goes to standard error."""
    logger = logging.getLogger("actions.python.%s" % action_name)
    if not logger.handlers:
        level = getattr(logging, (log_level or "debug").upper(), logging.DEBUG)
        handler = logging.StreamHandler()
        handler.setLevel(level)
        handler.setFormatter(logging.Formatter("%(name)-12s: %(levelname)-8s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(level)
    return logger


def get_action_class_instance(action_cls, config=None, action_service=None):
    """An instance; a constructor that takes no `action_service` has it set afterwards."""
    try:
        return action_cls(config=config, action_service=action_service)
    except TypeError as error:
        if "unexpected keyword argument 'action_service'" not in str(error):
            raise
    instance = action_cls(config=config)
    instance.action_service = action_service
    return instance
