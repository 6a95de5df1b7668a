"""The base classes of sensors: `Sensor` watches by itself, `PollingSensor` is asked again and again.

The host calls ``setup()``, then ``add_trigger()`` for every trigger that exists, then ``run()``,
and at the end ``cleanup()``.
"""

import abc
import time

__all__ = ["Sensor", "PollingSensor"]


class BaseSensor(metaclass=abc.ABCMeta):
    """What both kinds have in common."""

    def __init__(self, sensor_service, config=None):
        self.sensor_service = sensor_service
        self.config = config or {}
        # The older names, which many packs still use.
        self._sensor_service = self.sensor_service
        self._config = self.config

    @abc.abstractmethod
    def setup(self):
        """Prepares; called once."""

    @abc.abstractmethod
    def run(self):
        """Watches until the sensor is stopped."""

    @abc.abstractmethod
    def cleanup(self):
        """Gives back what ``setup`` took; called once, at the end."""

    @abc.abstractmethod
    def add_trigger(self, trigger):
        """A trigger of this sensor's types exists or was created; ``trigger`` is a dictionary."""

    @abc.abstractmethod
    def update_trigger(self, trigger):
        """A trigger was changed."""

    @abc.abstractmethod
    def remove_trigger(self, trigger):
        """A trigger was deleted."""


class Sensor(BaseSensor):
    """A sensor with a loop of its own in ``run``."""

    @abc.abstractmethod
    def run(self):
        """Watches until the sensor is stopped."""


class PollingSensor(BaseSensor):
    """A sensor whose ``poll`` is called every ``poll_interval`` seconds."""

    def __init__(self, sensor_service, config=None, poll_interval=5):
        super().__init__(sensor_service=sensor_service, config=config)
        self._poll_interval = poll_interval

    @abc.abstractmethod
    def poll(self):
        """Looks once whether something happened."""

    def run(self):
        while True:
            self.poll()
            # Looked up at each call, so that a pack that patches `time` sleeps in its own way.
            time.sleep(self._poll_interval)

    def get_poll_interval(self):
        """The seconds between two calls of ``poll``."""
        return self._poll_interval

    def set_poll_interval(self, poll_interval):
        """Sets the seconds between two calls of ``poll``, from the next pause on."""
        self._poll_interval = poll_interval
