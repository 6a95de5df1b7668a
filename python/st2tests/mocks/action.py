"""What an action is given in tests."""

import logging
from unittest import mock

from python_runner.python_action_wrapper import ActionService
from st2tests.mocks.datastore import MockDatastoreService

__all__ = ["MockActionService", "MockActionWrapper"]


class MockActionWrapper(object):
    def __init__(self, pack, class_name):
        self._pack = pack
        self._class_name = class_name


class MockActionService(ActionService):
    """An action service whose datastore is in memory and whose logger is a mock."""

    def __init__(self, action_wrapper):
        super().__init__(action_wrapper)
        self._logger = mock.Mock(spec=logging.RootLogger)
        self._datastore_service = MockDatastoreService(
            logger=self._logger,
            pack_name=action_wrapper._pack,
            class_name=action_wrapper._class_name,
        )
