"""Loads the class of an action, runs it, and writes down its result."""

import dataclasses
import datetime
import enum
import importlib.util
import inspect
import json
import logging
import os
import re
import sys
import traceback
import uuid

from st2common.constants.runners import PYTHON_RUNNER_INVALID_ACTION_STATUS_EXIT_CODE
from st2common.runners.utils import (
    get_action_class_instance,
    get_logger_for_python_runner_action,
)

__all__ = ["ActionService", "PythonActionWrapper"]

LOG = logging.getLogger(__name__)

INVALID_STATUS = (
    "Status returned from the action run() method must either be True or False, got: %s\n"
    "A tuple of two is read as (status, result): return a list, or a dictionary, if it is not.\n"
)
DEPTH_MAX = 250


class ActionService(object):
    """What an action may ask of the server."""

    def __init__(self, action_wrapper):
        self._action_wrapper = action_wrapper
        self._datastore_service = None

    @property
    def datastore_service(self):
        if self._datastore_service is None:
            # Few actions need it, and it needs an HTTP client.
            from st2common.services.datastore import ActionDatastoreService

            wrapper = self._action_wrapper
            self._datastore_service = ActionDatastoreService(
                logger=get_logger_for_python_runner_action(
                    wrapper._class_name, wrapper._log_level
                ),
                pack_name=wrapper._pack,
                class_name=wrapper._class_name,
                auth_token=os.environ.get("ST2_ACTION_AUTH_TOKEN"),
            )
        return self._datastore_service

    def get_user_info(self):
        return self.datastore_service.get_user_info()

    def list_values(self, local=True, prefix=None, limit=None, offset=None):
        return self.datastore_service.list_values(
            local=local, prefix=prefix, limit=limit, offset=offset
        )

    def get_value(self, name, local=True, scope="system", decrypt=False):
        return self.datastore_service.get_value(
            name=name, local=local, scope=scope, decrypt=decrypt
        )

    def set_value(self, name, value, ttl=None, local=True, scope="system", encrypt=False):
        return self.datastore_service.set_value(
            name=name, value=value, ttl=ttl, local=local, scope=scope, encrypt=encrypt
        )

    def delete_value(self, name, local=True, scope="system"):
        return self.datastore_service.delete_value(name=name, local=local, scope=scope)


class PythonActionWrapper(object):
    """One action, from its file to its result."""

    def __init__(
        self, pack, file_path, config=None, parameters=None, user=None, parent_args=None,
        log_level="DEBUG",
    ):
        self._pack = pack
        self._file_path = file_path
        self._config = config or {}
        self._parameters = parameters or {}
        self._user = user
        self._parent_args = parent_args or []
        self._log_level = log_level
        self._class_name = None

    def run(self):
        """The outcome as a dictionary: `status` (True, False or None) and `result`."""
        output = self._get_action_instance().run(**self._parameters)
        status = None
        if isinstance(output, tuple) and len(output) == 2:
            status, output = output
            if status is not None and not isinstance(status, bool):
                sys.stderr.write(INVALID_STATUS % (status,))
                sys.exit(PYTHON_RUNNER_INVALID_ACTION_STATUS_EXIT_CODE)
        try:
            return {"status": status, "result": plain(output)}
        except (TypeError, ValueError):
            if status is not None:
                return {"status": status, "result": str(output)}
        # Clients know this text: it is the end of a dictionary's, cut where the result begins.
        text = str({"result": output, "status": None})
        found = re.search("'result': (.*?)$", text)
        return {"status": None, "result": found.group(1) if found else text}

    def _get_action_instance(self):
        try:
            action_class = load_action_class(self._file_path)
        except Exception as error:
            message = (
                'Failed to load action class from file "%s" (action file most likely doesn\'t '
                "exist or contains invalid syntax): %s\n\n%s"
                % (self._file_path, error, traceback.format_exc())
            )
            raise ImportError(message) from None
        if action_class is None:
            raise Exception(
                'File "%s" has no action class or the file doesn\'t exist.' % self._file_path
            )
        self._class_name = action_class.__name__
        return get_action_class_instance(
            action_cls=action_class,
            config=self._config,
            action_service=ActionService(action_wrapper=self),
        )


def load_action_class(file_path):
    """The first class by name that the file itself defines and that has a `run`; or None."""
    directory, file_name = os.path.split(os.path.abspath(file_path))
    name = os.path.splitext(file_name)[0]
    if directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    spec = importlib.util.spec_from_file_location(name, file_path)
    if spec is None:
        raise ImportError("this is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    for class_name, candidate in inspect.getmembers(module, inspect.isclass):
        if candidate.__module__ != name:
            continue
        if callable(getattr(candidate, "run", None)) and not inspect.isabstract(candidate):
            return candidate
        LOG.debug("class %s is no action: it has no method run()", class_name)
    return None


def plain(value, depth=0):
    """`value` as what JSON can say; TypeError for what it can't."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        # A half of a surrogate pair is no text to anyone else.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        # JSON has neither infinity nor "not a number".
        return value if value - value == 0 else None
    if depth > DEPTH_MAX:
        raise TypeError("nested too deeply")
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a dictionary must be texts")
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name), depth + 1) for field in fields}
    raise TypeError("%s is not JSON" % type(value).__name__)


def main(job, result_file):
    """Runs `job` and writes its outcome into `result_file`; errors end the process as usual."""
    wrapper = PythonActionWrapper(
        pack=job["pack"],
        file_path=job["file_path"],
        config=job["config"],
        parameters=job["parameters"],
        user=job["user"],
        log_level=job["log_level"],
    )
    try:
        outcome = wrapper.run()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    text = json.dumps(outcome).encode("ascii")
    with os.fdopen(result_file, "wb") as target:
        target.write(text)
    sys.stdout.flush()
