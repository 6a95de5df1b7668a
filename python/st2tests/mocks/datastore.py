"""A datastore in memory."""

from st2common.services.datastore import BaseDatastoreService, KeyValuePair

__all__ = ["MockDatastoreService"]


class MockDatastoreService(BaseDatastoreService):
    """Keeps values as they are given, and forgets them with the test."""

    def __init__(self, logger, pack_name, class_name, api_username=None):
        super().__init__(logger, pack_name, class_name)
        self._username = api_username or "admin"
        self._datastore_items = {}

    def get_user_info(self):
        return {
            "username": self._username,
            "rbac": {"is_admin": True, "enabled": True, "roles": ["admin"]},
            "authentication": {"method": "authentication token", "location": "header"},
        }

    def list_values(self, local=True, limit=None, prefix=None, offset=0):
        start = (self._local_prefix() if local else "") + (prefix or "")
        return [item for name, item in self._datastore_items.items() if name.startswith(start)]

    def get_value(self, name, local=True, scope="system", decrypt=False):
        item = self._datastore_items.get(self._full_name(name, local))
        return item.value if item else None

    def set_value(self, name, value, ttl=None, local=True, scope="system", encrypt=False):
        name = self._full_name(name, local)
        if ttl:
            self._logger.warning("the datastore of tests does not forget values after a time")
        self._datastore_items[name] = KeyValuePair(id=name, name=name, value=value, ttl=ttl)
        return True

    def delete_value(self, name, local=True, scope="system"):
        return self._datastore_items.pop(self._full_name(name, local), None) is not None
