"""The datastore, over the API."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

__all__ = ["ActionDatastoreService", "BaseDatastoreService", "KeyValuePair"]

SYSTEM_SCOPE = "system"
TIMEOUT_SECONDS = 60
LIMIT = 100


class KeyValuePair(object):
    """An item of the datastore, with the members that the API gives."""

    def __init__(self, **members):
        self.id = self.name = self.value = self.scope = None
        self.__dict__.update(members)


class BaseDatastoreService(object):
    """Items by name; a local name belongs to the class of the pack that uses it."""

    def __init__(self, logger, pack_name, class_name, api_url=None, auth_token=None):
        self._logger = logger
        self._pack_name = pack_name
        self._class_name = class_name
        url = api_url or os.environ.get("ST2_ACTION_API_URL") or os.environ.get("ST2_API_URL")
        self._api_url = (url or "http://127.0.0.1:9101/v1").rstrip("/")
        self._auth_token = auth_token

    def get_user_info(self):
        return self._request("GET", "/user")

    def list_values(self, local=True, prefix=None, limit=None, offset=0):
        if local:
            prefix = self._local_prefix() + (prefix or "")
        query = {"prefix": prefix, "limit": limit or LIMIT, "offset": offset or 0}
        items = self._request("GET", "/keys", query)
        return [KeyValuePair(**item) for item in items or []]

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        path = self._path(name, local, scope)
        try:
            item = self._request("GET", path, {"decrypt": str(bool(decrypt)).lower(), "scope": scope})
        except Exception as error:
            self._logger.exception("the value of %s could not be read: %s", name, error)
            return None
        return item["value"] if item else None

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        path = self._path(name, local, scope)
        full_name = self._full_name(name, local)
        item = {"id": full_name, "name": full_name, "value": str(value), "scope": scope}
        if encrypt:
            item["secret"] = True
        if ttl:
            item["ttl"] = ttl
        self._request("PUT", path, body=item)
        return True

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        path = self._path(name, local, scope)
        try:
            self._request("DELETE", path, {"scope": scope})
        except Exception as error:
            self._logger.exception("%s could not be deleted: %s", name, error)
            return False
        return True

    def _local_prefix(self):
        return "%s.%s:" % (self._pack_name, self._class_name)

    def _full_name(self, name, local):
        return self._local_prefix() + name if local else name

    def _path(self, name, local, scope):
        if scope != SYSTEM_SCOPE:
            raise ValueError("Scope %s is unsupported." % scope)
        return "/keys/" + urllib.parse.quote(self._full_name(name, local), safe="")

    def _request(self, method, path, query=None, body=None):
        """The answer as data; None for what is not there."""
        url = self._api_url + path
        query = {key: value for key, value in (query or {}).items() if value is not None}
        if query:
            url += "?" + urllib.parse.urlencode(query)
        headers = {"Content-Type": "application/json"}
        if self._auth_token:
            headers["X-Auth-Token"] = self._auth_token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            if error.code == 404 and method in ("GET", "DELETE"):
                return None
            reason = error.read(2000).decode("utf-8", "replace")
            raise RuntimeError("%s %s: %d %s" % (method, path, error.code, reason)) from None
        return json.loads(content) if content else None


class ActionDatastoreService(BaseDatastoreService):
    """The datastore for an action, with the token that it was given."""

    def __init__(self, logger, pack_name, class_name, auth_token):
        super().__init__(logger, pack_name, class_name, auth_token=auth_token)
