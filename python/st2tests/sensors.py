"""Tests of sensors."""

from st2tests.mocks.sensor import MockSensorService, MockSensorWrapper
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseSensorTestCase"]


class BaseSensorTestCase(BasePackResourceTestCase):
    """A test of the class in `sensor_cls`."""

    sensor_cls = None

    def setUp(self):
        super().setUp()
        wrapper = MockSensorWrapper(pack="tests", class_name=self.sensor_cls.__name__)
        self.sensor_service = MockSensorService(sensor_wrapper=wrapper)

    def get_sensor_instance(self, config=None, poll_interval=None):
        """A sensor whose events are kept, and whose datastore is in memory."""
        given = {"sensor_service": self.sensor_service}
        if config:
            given["config"] = config
        if poll_interval is not None:
            given["poll_interval"] = poll_interval
        return self.sensor_cls(**given)

    def get_dispatched_triggers(self):
        """What was dispatched so far: dictionaries of trigger, payload and trace_context."""
        return self.sensor_service.dispatched_triggers

    def get_last_dispatched_trigger(self):
        return self.get_dispatched_triggers()[-1]

    def assertTriggerDispatched(self, trigger, payload=None, trace_context=None):
        """Passes if the trigger was dispatched, with what else is given."""
        wanted = {"trigger": trigger}
        if payload:
            wanted["payload"] = payload
        if trace_context:
            wanted["trace_context"] = trace_context
        dispatched = self.get_dispatched_triggers()
        for event in dispatched:
            if all(event[member] == value for member, value in wanted.items()):
                return True
        raise AssertionError(
            'the trigger "%s" was not dispatched as %r; dispatched were %r'
            % (trigger, wanted, dispatched)
        )
