"""syslog_client: the end of an action becomes a datagram."""

import services


def run(pack):
    server = pack.server
    with services.udp_listener() as listener:
        pack.configure(server="127.0.0.1", port=listener.getsockname()[1], protocol="UDP")
        notify = {"on-complete": {"routes": ["syslog"], "data": {}, "message": "done"}}
        server.run("core.local", {"cmd": "echo written"}, notify=notify)
        datagram = listener.recv(65536).decode("utf-8", "replace")
        pack.check("the formatted result is logged", "written" in datagram, datagram)
        pack.check("as a syslog message", datagram.startswith("<"), datagram)
