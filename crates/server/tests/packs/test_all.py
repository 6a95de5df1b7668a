from count import Count
from door import Door
from st2tests.base import (
    BaseActionAliasTestCase, BaseActionTestCase, BasePackResourceTestCase, BaseSensorTestCase,
)


class NotATest(BaseActionTestCase):
    __test__ = False

    def test_nothing(self):
        self.fail("it says that it is no test")


class CountTest(BaseActionTestCase):
    action_cls = Count

    def test_the_datastore_is_in_memory(self):
        action = self.get_action_instance(config={})
        self.assertEqual([action.run(), action.run()], [1, 2])
        items = self.action_service.list_values()
        self.assertEqual([(item.name, item.value) for item in items], [("tests.Count:count", 2)])
        self.assertTrue(self.action_service.delete_value("count"))
        self.assertFalse(self.action_service.delete_value("count"))

    def test_a_missing_key_is_a_value_error(self):
        action = self.get_action_instance(config={"a": 1})
        self.assertEqual(action.config["a"], 1)
        self.assertIsNone(action.config.get("b"))
        with self.assertRaises(ValueError):
            action.config["b"]


class DoorTest(BaseSensorTestCase):
    sensor_cls = Door

    def test_events_are_kept(self):
        sensor = self.get_sensor_instance(config={}, poll_interval=7)
        self.assertEqual(sensor.get_poll_interval(), 7)
        sensor.poll()
        self.assertTriggerDispatched("shop.door")
        self.assertTriggerDispatched("shop.door", payload={"open": True})
        self.assertEqual(self.get_last_dispatched_trigger()["trace_context"].trace_tag, "t")
        with self.assertRaises(AssertionError):
            self.assertTriggerDispatched("shop.door", payload={"open": False})
        self.assertEqual(self.sensor_service.get_value("seen"), 1)

    def test_loggers_are_mocks(self):
        self.sensor_service.get_logger("x").info("seen")
        self.sensor_service._logger.info.assert_called_once_with("seen")


class GreetTest(BaseActionAliasTestCase):
    action_alias_name = "greet"

    def test_commands_are_read_as_the_server_reads_them(self):
        forms = self.action_alias_db.get_format_strings()
        self.assertEqual(forms, ["greet {{name}}", "wave at {{name}} in {{place=town}}"])
        self.assertCommandMatchesExactlyOneFormatString(forms, "greet Ann")
        self.assertExtractedParametersMatch(forms[0], "greet Ann", {"name": "Ann"})

    def test_commands_that_fit_nothing_fail(self):
        forms = self.action_alias_db.get_format_strings()
        with self.assertRaises(AssertionError):
            self.assertCommandMatchesExactlyOneFormatString(forms, "dance")


class ResourceTest(BasePackResourceTestCase):
    def test_fixtures(self):
        self.assertEqual(self.get_fixture_content("a.txt"), "fixture")
