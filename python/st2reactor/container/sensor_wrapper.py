"""The sensor service, under the name by which packs know it."""

from squall_sensor_host.service import SensorService

__all__ = ["SensorService"]
