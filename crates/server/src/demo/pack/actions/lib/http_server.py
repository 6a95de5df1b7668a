"""A server as small as can be: it answers every request with its configuration, as JSON.

Run with the path of the configuration. SIGHUP makes it read that again, SIGTERM ends it.
"""

import http.server
import json
import signal
import sys


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (json.dumps(self.server.configuration, indent=2) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged: the log is for failures."""


def main(path):
    configuration = load(path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", configuration["port"]), Handler)
    server.daemon_threads = True
    server.configuration = configuration

    def read_again(*_):
        server.configuration = load(path)

    def end(*_):
        sys.exit(0)

    signal.signal(signal.SIGHUP, read_again)
    signal.signal(signal.SIGTERM, end)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
