"""The services that packs talk to, on loopback."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import urllib.parse

from server import wait_for


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        place = urllib.parse.urlsplit(self.path)
        self.server.requests.append((self.command, place.path, body))
        found = self.server.find(self.command, place.path)
        status, data = found if isinstance(found, tuple) else (200, found)
        content = data.encode() if isinstance(data, str) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def http_stub(routes):
    """A server whose `routes` are `(method, path)` to data, `(status, data)` or a function."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests = []
    server.routes = routes
    server.url = "http://127.0.0.1:%d" % server.server_port

    def find(method, path):
        found = server.routes.get((method, path), (404, {"message": "not found"}))
        return found() if callable(found) else found

    server.find = find
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class SmtpHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 sink")
        text, is_data = [], False
        for line in self.rfile:
            line = line.decode("utf-8", "replace").rstrip("\r\n")
            if is_data:
                if line == ".":
                    is_data = False
                    self.server.mails.append("\n".join(text))
                    self.say("250 taken")
                else:
                    text.append(line)
                continue
            word = line.split(" ")[0].upper()
            if word == "DATA":
                is_data, text = True, []
                self.say("354 go on")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 sink")

    def say(self, text):
        self.wfile.write((text + "\r\n").encode())


@contextlib.contextmanager
def smtp_sink():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), SmtpHandler)
    server.daemon_threads = True
    server.mails = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


PACKAGES = {"dovecot": "dovecot-imapd", "sshd": "openssh-server"}


def program(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        package = PACKAGES.get(name, name)
        raise RuntimeError("%s is missing: apt-get install %s" % (name, package))
    return found


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A server program that can be stopped and started again."""

    def __init__(self, command, port, log):
        self.command, self.port, self.log = command, port, log
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for("%s on port %d" % (self.command[0], self.port), lambda: listens(self.port))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def mosquitto(place, user, password):
    """A broker with one user."""
    port = free_port()
    users = os.path.join(place, "users")
    open(users, "w").close()
    os.chmod(users, 0o600)
    subprocess.run(
        [program("mosquitto_passwd"), "-b", users, user, password], check=True,
        stderr=subprocess.DEVNULL,
    )
    config = os.path.join(place, "mosquitto.conf")
    with open(config, "w") as file:
        file.write("listener %d 127.0.0.1\npassword_file %s\n" % (port, users))
        file.write("user %s\n" % os.environ.get("USER", "root"))
    command = [program("mosquitto"), "-c", config]
    return Program(command, port, os.path.join(place, "mosquitto.log"))


def dovecot(place, user, password):
    """An IMAP server with one user, whose mail is below `place/mail`."""
    port = free_port()
    config = os.path.join(place, "dovecot.conf")
    me = subprocess.run(["id", "-un"], stdout=subprocess.PIPE, text=True).stdout.strip()
    group = subprocess.run(["id", "-gn"], stdout=subprocess.PIPE, text=True).stdout.strip()
    mail_user = "nobody" if me == "root" else me
    mail_group = "nogroup" if me == "root" else group
    mail = os.path.join(place, "mail")
    for inner in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(mail, "Maildir", inner))
    if me == "root":
        os.chmod(place, 0o755)
        os.chmod(os.path.dirname(place), 0o755)
        subprocess.run(["chown", "-R", "%s:%s" % (mail_user, mail_group), mail], check=True)
    with open(config, "w") as file:
        file.write(DOVECOT % {
            "place": place, "port": port, "me": me, "mail_user": mail_user,
            "mail_group": mail_group, "user": user, "password": password, "mail": mail,
        })
    command = [program("dovecot"), "-F", "-c", config]
    return Program(command, port, os.path.join(place, "dovecot.out"))


def sshd(place, key):
    """An SSH server on which the owner of `key` signs in as whoever runs this."""
    port = free_port()
    host_key, config = os.path.join(place, "host_key"), os.path.join(place, "sshd_config")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
    with open(config, "w") as file:
        file.write(SSHD % {"port": port, "host_key": host_key, "key": key})
    if os.geteuid() == 0:
        # Where root's sshd separates privileges; a fresh machine does not have it yet.
        os.makedirs("/run/sshd", exist_ok=True)
    command = [program("sshd"), "-D", "-f", config, "-E", os.path.join(place, "sshd.log")]
    return Program(command, port, os.path.join(place, "sshd.out"))


SSHD = """
ListenAddress 127.0.0.1
Port %(port)d
HostKey %(host_key)s
AuthorizedKeysFile %(key)s.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin yes
PasswordAuthentication no
Subsystem sftp internal-sftp
"""

DOVECOT = """
base_dir = %(place)s/run
state_dir = %(place)s/state
log_path = %(place)s/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:%(mail)s/Maildir
service imap-login {
  chroot =
  inet_listener imap {
    address = 127.0.0.1
    port = %(port)d
  }
  inet_listener imaps {
    port = 0
  }
}
passdb {
  driver = static
  args = password=%(password)s
}
userdb {
  driver = static
  args = uid=%(mail_user)s gid=%(mail_group)s home=%(mail)s
}
"""


@contextlib.contextmanager
def udp_listener():
    """A socket that waits up to a minute for a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(60)
        yield listener
