"""Finds the sensor's class in its file and makes the sensor."""

import importlib.util
import inspect
import os
import sys


class LoadError(Exception):
    """The sensor can't be made; the message says what to mend."""


def load_class(entry_point, class_name, base):
    """The class ``class_name`` of the file ``entry_point``, which must derive from ``base``."""
    if not os.path.isfile(entry_point):
        raise LoadError("the entry point %s does not exist" % entry_point)
    name = os.path.splitext(os.path.basename(entry_point))[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(entry_point)))
    spec = importlib.util.spec_from_file_location(name, entry_point)
    if spec is None:
        raise LoadError("the entry point %s is no Python file" % entry_point)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, base) and value.__module__ == name
        ]
        raise LoadError(
            "%s has no class %s; its sensors are: %s"
            % (entry_point, class_name, ", ".join(sorted(classes)) or "none")
        )
    if not issubclass(found, base):
        raise LoadError(
            "%s in %s derives neither from Sensor nor from PollingSensor" % (class_name, entry_point)
        )
    return found


def construct(sensor_class, polling, service, config, poll_interval):
    """A sensor, by the keywords that its constructor takes."""
    keywords = {"sensor_service": service, "config": config}
    wants_interval = bool(poll_interval) and issubclass(sensor_class, polling)
    takes_interval = wants_interval and _takes(sensor_class, "poll_interval")
    if takes_interval:
        keywords["poll_interval"] = poll_interval
    sensor = sensor_class(**keywords)
    if wants_interval and not takes_interval:
        sensor.set_poll_interval(poll_interval)
    return sensor


def _takes(sensor_class, keyword):
    parameters = inspect.signature(sensor_class.__init__).parameters
    return keyword in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
