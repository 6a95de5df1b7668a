"""The connection to the server: one JSON object a line, on a socket of our own.

Packs may replace the standard library's threads, locks and sockets by green ones (eventlet,
gevent) whenever they are imported. Everything here is taken from the interpreter before the pack's
code runs, works on a bare file descriptor and in real threads, and so does not notice.
"""

import _thread
import json
import os

_read = os.read
_write = os.write
_close = os.close
_getpid = os.getpid
_allocate_lock = _thread.allocate_lock
_start_new_thread = _thread.start_new_thread
_dumps = json.dumps
_loads = json.loads


class Refused(Exception):
    """The server refused a request; ``kind`` says why in one word."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Disconnected(Exception):
    """The server is gone, or this is a forked child, which has no connection."""


class TooLarge(Exception):
    """A message is longer than the server reads."""


def plain(value):
    """What JSON cannot say, as text, the way people would write it."""
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    isoformat = getattr(value, "isoformat", None)
    if callable(isoformat):
        return isoformat()
    return str(value)


class Channel:
    """Sends messages and waits for answers, from any thread."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._pid = _getpid()
        self._buffer = b""
        self._write_lock = _allocate_lock()
        self._state_lock = _allocate_lock()
        self._waiting = {}
        self._last_id = 0
        self._open = True
        self.message_bytes_max = 1 << 20
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self):
        # A child that kept the socket open would hide the end of its parent from the server.
        self._open = False
        try:
            _close(self._descriptor)
        except OSError:
            pass

    def read(self):
        """The next message from the server, ``None`` when it has closed the connection."""
        while b"\n" not in self._buffer:
            try:
                data = _read(self._descriptor, 1 << 16)
            except InterruptedError:
                continue
            except OSError:
                data = b""
            if not data:
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return _loads(line.decode("utf-8"))

    def send(self, message):
        """Sends a message that needs no answer."""
        line = _dumps(message, default=plain).encode("utf-8") + b"\n"
        if len(line) > self.message_bytes_max:
            raise TooLarge(
                "the message has %d bytes, more than the %d that the server accepts"
                % (len(line), self.message_bytes_max)
            )
        if not self._open:
            raise Disconnected("this process has no connection to the server")
        with self._write_lock:
            view = memoryview(line)
            while view:
                try:
                    view = view[_write(self._descriptor, view) :]
                except InterruptedError:
                    continue
                except OSError as error:
                    raise Disconnected("the server is gone: %s" % error)

    def request(self, message):
        """Sends a message and waits for the answer's ``result``."""
        answered = _allocate_lock()
        answered.acquire()
        with self._state_lock:
            self._last_id += 1
            number = self._last_id
            entry = self._waiting[number] = [answered, None]
        try:
            self.send(dict(message, id=number))
            # A real lock, not a green one: it is another real thread that lets go of it.
            answered.acquire()
        finally:
            with self._state_lock:
                self._waiting.pop(number, None)
        answer = entry[1]
        if answer is None:
            raise Disconnected("the server is gone")
        error = answer.get("error")
        if error:
            raise Refused(error.get("kind"), error.get("message"))
        return answer.get("result")

    def serve(self, handle, closed):
        """Reads in a thread of its own: answers go to who waits, all else to ``handle``."""
        _start_new_thread(self._serve, (handle, closed))

    def _serve(self, handle, closed):
        while True:
            message = self.read()
            if message is None:
                break
            if message.get("type") != "answer":
                handle(message)
                continue
            with self._state_lock:
                entry = self._waiting.get(message.get("id"))
            if entry:
                entry[1] = message
                entry[0].release()
        self._open = False
        with self._state_lock:
            waiting = list(self._waiting.values())
        for entry in waiting:
            if entry[1] is None:
                entry[0].release()
        closed()
