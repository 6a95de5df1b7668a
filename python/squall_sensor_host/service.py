"""``sensor_service``: what a sensor may ask of the server."""

import json
import logging
import os
import urllib.request

from .channel import Refused, TooLarge

SYSTEM_SCOPE = "system"


class KeyValuePair:
    """A datastore item; its fields are attributes."""

    def __init__(self, fields):
        self.__dict__.update(fields)

    def to_dict(self):
        return dict(self.__dict__)

    def __repr__(self):
        return "<KeyValuePair name=%s>" % self.__dict__.get("name")


class DatastoreService:
    """Reads and writes datastore items, by default those of this sensor alone."""

    def __init__(self, channel, logger, pack, class_name):
        self._channel = channel
        self._logger = logger
        self._prefix = "%s.%s:" % (pack, class_name)

    def _name(self, name, local, scope):
        if scope not in (SYSTEM_SCOPE, "st2kv.system"):
            raise ValueError("Scope %s is unsupported." % scope)
        return self._prefix + name if local else name

    def list_values(self, local=True, prefix=None, limit=None, offset=0):
        full = (self._prefix + (prefix or "")) if local else prefix
        items = self._channel.request(
            {"type": "list_values", "prefix": full, "limit": limit, "offset": offset or 0}
        )
        return [KeyValuePair(item) for item in items]

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        name = self._name(name, local, scope)
        try:
            return self._channel.request(
                {"type": "get_value", "name": name, "decrypt": bool(decrypt)}
            )
        except Refused as error:
            self._logger.error('Reading the datastore item "%s" failed: %s', name, error)
            return None

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        name = self._name(name, local, scope)
        self._channel.request(
            {
                "type": "set_value",
                "name": name,
                "value": str(value),
                "ttl": int(ttl) if ttl else None,
                "encrypt": bool(encrypt),
            }
        )
        return True

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        name = self._name(name, local, scope)
        try:
            return bool(self._channel.request({"type": "delete_value", "name": name}))
        except Refused as error:
            self._logger.error('Deleting the datastore item "%s" failed: %s', name, error)
            return False

    def get_user_info(self):
        url = os.environ["ST2_API_URL"].rstrip("/") + "/user"
        token = os.environ.get("ST2_AUTH_TOKEN", "")
        request = urllib.request.Request(url, headers={"X-Auth-Token": token})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


class SensorService:
    """Given to the sensor's constructor as ``sensor_service``."""

    def __init__(self, channel, logger, pack, class_name):
        self._channel = channel
        self._logger = logger
        self.datastore_service = DatastoreService(channel, logger, pack, class_name)

    def get_logger(self, name):
        return logging.getLogger("%s.%s" % (self._logger.name, name))

    def dispatch(self, trigger, payload=None, trace_tag=None, dedupe_key=None):
        """Reports an event. It is stored when this returns, or was refused, which the log says."""
        if payload and not isinstance(payload, dict):
            raise TypeError(
                "The payload has a value that is not a dictionary (was %s)." % type(payload)
            )
        message = {
            "type": "dispatch",
            "trigger": trigger,
            "payload": payload or {},
            "trace_tag": trace_tag,
            "dedupe_key": dedupe_key,
        }
        try:
            self._channel.request(message)
        except (Refused, TooLarge) as error:
            self._logger.error('The event for "%s" was dropped: %s', trigger, error)

    def dispatch_with_context(self, trigger, payload=None, trace_context=None):
        if isinstance(trace_context, dict):
            tag = trace_context.get("trace_tag")
        else:
            tag = getattr(trace_context, "trace_tag", None)
        self.dispatch(trigger, payload=payload, trace_tag=tag)

    def get_user_info(self):
        return self.datastore_service.get_user_info()

    def list_values(self, local=True, prefix=None, limit=None, offset=0):
        return self.datastore_service.list_values(local, prefix, limit, offset)

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        return self.datastore_service.get_value(name, local, scope, decrypt)

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        return self.datastore_service.set_value(name, value, ttl, local, scope, encrypt)

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        return self.datastore_service.delete_value(name, local, scope)
