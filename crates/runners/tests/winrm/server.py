"""A host that speaks WinRM: WS-Management over HTTPS, with basic and NTLM sign-in.

Commands run in a POSIX shell. PowerShell is only pretended: a script prints itself, and the scripts
that write, run and remove a file do so in memory. `GET /state` tells what is open and running.

    server.py CERTIFICATE_AND_KEY USER PASSWORD     prints the port
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import uuid
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

CERTIFICATE, USER, PASSWORD = sys.argv[1:4]
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": SHELL,
}


# -- NTLM -------------------------------------------------------------------------------------


def md4(data):
    """RFC 1320; the machine's OpenSSL may no longer have it."""

    def rotated(value, count):
        value &= 0xFFFFFFFF
        return (value << count | value >> (32 - count)) & 0xFFFFFFFF

    length = len(data) * 8
    data += b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", length)
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    rounds = [
        (lambda x, y, z: x & y | ~x & z, 0, (3, 7, 11, 19), range(16)),
        (
            lambda x, y, z: x & y | x & z | y & z,
            0x5A827999,
            (3, 5, 9, 13),
            [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
        ),
        (
            lambda x, y, z: x ^ y ^ z,
            0x6ED9EBA1,
            (3, 9, 11, 15),
            [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
        ),
    ]
    for start in range(0, len(data), 64):
        words = struct.unpack("<16I", data[start : start + 64])
        a, b, c, d = state
        for function, constant, shifts, order in rounds:
            for step, index in enumerate(order):
                value = a + function(b, c, d) + words[index] + constant
                a, b, c, d = d, rotated(value, shifts[step % 4]), b, c
        state = [(old + new) & 0xFFFFFFFF for old, new in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


def code(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.md5).digest()


def wide(text):
    return text.encode("utf-16-le")


def pair(kind, value):
    return struct.pack("<HH", kind, len(value)) + value


class Ntlm:
    """The server's side of signing in one connection."""

    def __init__(self):
        self.first = self.second = None

    def challenge(self, first):
        self.first = first
        now = int((time.time() + 11644473600) * 10**7)
        target = wide("SHOP")
        information = (
            pair(2, target) + pair(1, wide("WIN")) + pair(7, struct.pack("<Q", now)) + pair(0, b"")
        )
        self.server = os.urandom(8)
        head = 56
        self.second = (
            b"NTLMSSP\0"
            + struct.pack("<I", 2)
            + struct.pack("<HHI", len(target), len(target), head)
            + struct.pack("<I", 0xE28A8235)
            + self.server
            + b"\0" * 8
            + struct.pack("<HHI", len(information), len(information), head + len(target))
            + bytes([10, 0, 0x63, 0x45, 0, 0, 0, 15])
            + target
            + information
        )
        return self.second

    def is_proved(self, last):
        def field(number):
            length, _, offset = struct.unpack_from("<HHI", last, 12 + 8 * number)
            return last[offset : offset + length]

        response, domain, user = field(1), field(2), field(3)
        if user.decode("utf-16-le").lower() != USER.lower():
            return False
        key = code(md4(wide(PASSWORD)), wide(USER.upper()), domain)
        proof, temporary = response[:16], response[16:]
        if not hmac.compare_digest(proof, code(key, self.server, temporary)):
            return False
        pairs, rest = {}, temporary[28:]
        while True:
            kind, length = struct.unpack_from("<HH", rest)
            if kind == 0:
                break
            pairs[kind], rest = rest[4 : 4 + length], rest[4 + length :]
        if pairs.get(10, bytes(16)) not in (bytes(16), binding()):
            return False
        if struct.unpack("<I", pairs.get(6, bytes(4)))[0] & 2:
            # The session's key may have been replaced by one that the client has chosen.
            session = code(key, proof)
            flags = struct.unpack_from("<I", last, 60)[0]
            if flags & 0x40000000:
                session = rc4(session, field(5))
            plain = last[:72] + bytes(16) + last[88:]
            if last[72:88] != code(session, self.first, self.second, plain):
                return False
        return True


def rc4(key, data):
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def binding():
    with open(CERTIFICATE) as file:
        text = re.search("-----BEGIN CERTIFICATE.*END CERTIFICATE-----", file.read(), re.S)
    certificate = ssl.PEM_cert_to_DER_cert(text.group(0))
    data = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
    return hashlib.md5(b"\0" * 16 + struct.pack("<I", len(data)) + data).digest()


# -- the shell --------------------------------------------------------------------------------


class Fault(Exception):
    def __init__(self, number, reason):
        super().__init__(reason)
        self.number = number


class Command:
    """A process, or what a pretended PowerShell has printed."""

    def __init__(self):
        self.changed = threading.Condition()
        self.streams = {"stdout": b"", "stderr": b""}
        self.process = self.exit_code = None

    def start(self, line, shell):
        script = re.match(r"powershell -encodedcommand (\S+)$", line)
        if script:
            text = base64.b64decode(script.group(1)).decode("utf-16-le")
            self.streams["stdout"], self.streams["stderr"], self.exit_code = powershell(text)
            return
        environment = dict(os.environ, **shell["environment"])
        self.process = subprocess.Popen(
            ["sh", "-c", line],
            cwd=shell["directory"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        readers = [
            threading.Thread(target=self.read, args=(name, getattr(self.process, name)))
            for name in self.streams
        ]
        for reader in readers:
            reader.start()
        threading.Thread(target=self.wait, args=(readers,)).start()

    def read(self, name, file):
        while True:
            data = os.read(file.fileno(), 8192)
            if not data:
                return
            with self.changed:
                self.streams[name] += data
                self.changed.notify_all()

    def wait(self, readers):
        for reader in readers:
            reader.join()
        exit_code = self.process.wait()
        with self.changed:
            self.exit_code = exit_code
            self.changed.notify_all()

    def is_running(self):
        return self.exit_code is None

    def take(self, seconds):
        with self.changed:
            self.changed.wait_for(
                lambda: any(self.streams.values()) or not self.is_running(), seconds
            )
            taken, self.streams = self.streams, {"stdout": b"", "stderr": b""}
            if not any(taken.values()) and self.is_running():
                raise Fault("2150858793", "The WS-Management service cannot complete in time.")
            return taken, self.exit_code

    def end(self):
        if self.process and self.is_running():
            os.killpg(self.process.pid, signal.SIGKILL)


SHELLS, FILES, DIRECTORIES, ENDED, CODE_PAGES = {}, {}, set(), [], []
LOCK = threading.Lock()


def powershell(script):
    made = "[System.IO.Path]::GetRandomFileName()" in script
    written = re.search(
        r"FromBase64String\('(.*)'\).*Open\('(.*)', 'Append'\)", script, re.S
    )
    removed = re.search(r"Remove-Item .*-LiteralPath '(.*)'", script)
    run = re.match(r"& '(.*)'(.*)$", script)
    failed = re.match(r"Write-Error '(.*)'; exit (\d+)$", script)
    with LOCK:
        if made:
            directory = "C:\\Temp\\%s" % uuid.uuid4().hex[:8]
            DIRECTORIES.add(directory)
            return (directory + "\r\n").encode(), b"", 0
        if written:
            data, path = written.groups()
            FILES[path] = FILES.get(path, b"") + base64.b64decode(data)
            return b"", b"", 0
        if removed:
            directory = removed.group(1)
            for path in [path for path in FILES if path.startswith(directory + "\\")]:
                del FILES[path]
            DIRECTORIES.discard(directory)
            return b"", b"", 0
        if run:
            path, arguments = run.groups()
            return FILES[path] + arguments.encode(), b"", 0
    if failed:
        text, number = failed.groups()
        error = (
            '#< CLIXML\r\n<Objs Version="1.1.0.1" '
            'xmlns="http://schemas.microsoft.com/powershell/2004/04">'
            '<S S="Error">%s_x000D__x000A_</S></Objs>' % escape(text)
        )
        return b"", error.encode(), int(number)
    return script.encode(), b"", 0


def open_shell(message):
    options = {
        option.get("Name"): option.text for option in message.iterfind(".//w:Option", NAMESPACES)
    }
    CODE_PAGES.append(options.get("WINRS_CODEPAGE"))
    directory = message.find(".//rsp:WorkingDirectory", NAMESPACES)
    if directory is not None and not os.path.isdir(directory.text):
        raise Fault("2147942667", "The directory name is invalid.")
    shell = str(uuid.uuid4()).upper()
    variables = message.iterfind(".//rsp:Variable", NAMESPACES)
    SHELLS[shell] = {
        "directory": None if directory is None else directory.text,
        "environment": {variable.get("Name"): variable.text or "" for variable in variables},
        "commands": {},
    }
    return (
        '<x:ResourceCreated xmlns:x="%s"><a:ReferenceParameters><w:SelectorSet>'
        '<w:Selector Name="ShellId">%s</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        "</x:ResourceCreated>" % (TRANSFER, shell)
    )


def answer(message):
    """What a message is answered with."""
    action = message.find(".//a:Action", NAMESPACES).text
    if action == TRANSFER + "/Create":
        return open_shell(message)
    selector = message.find(".//w:Selector[@Name='ShellId']", NAMESPACES)
    shell = SHELLS.get(selector.text)
    if shell is None:
        raise Fault("2150858843", "The shell is not known.")
    if action == TRANSFER + "/Delete":
        for command in SHELLS.pop(selector.text)["commands"].values():
            command.end()
        return ""
    if action == SHELL + "/Command":
        line = message.find(".//rsp:Command", NAMESPACES).text
        arguments = [node.text or "" for node in message.iterfind(".//rsp:Arguments", NAMESPACES)]
        name, command = str(uuid.uuid4()).upper(), Command()
        shell["commands"][name] = command
        command.start(" ".join([line] + arguments), shell)
        return (
            "<rsp:CommandResponse><rsp:CommandId>%s</rsp:CommandId></rsp:CommandResponse>" % name
        )
    if action == SHELL + "/Signal":
        name = message.find(".//rsp:Signal", NAMESPACES).get("CommandId")
        command = shell["commands"].pop(name)
        ENDED.append("killed" if command.is_running() else "ended")
        command.end()
        return "<rsp:SignalResponse/>"
    if action == SHELL + "/Receive":
        name = message.find(".//rsp:DesiredStream", NAMESPACES).get("CommandId")
        return receive(message, name, shell["commands"][name])
    raise Fault("2150858770", "The action is not known.")


def receive(message, name, command):
    timeout = message.find(".//w:OperationTimeout", NAMESPACES).text
    seconds = float(re.match(r"PT([\d.]+)S$", timeout).group(1))
    # Less patient than it is asked to be, so that the tests need not be.
    taken, exit_code = command.take(min(seconds, 1))
    body = "".join(
        '<rsp:Stream Name="%s" CommandId="%s">%s</rsp:Stream>'
        % (stream, name, base64.b64encode(data).decode())
        for stream, data in taken.items()
        if data
    )
    state = "Running" if exit_code is None else "Done"
    body += '<rsp:CommandState CommandId="%s" State="%s/CommandState/%s">' % (name, SHELL, state)
    if exit_code is not None:
        body += "<rsp:ExitCode>%d</rsp:ExitCode>" % (exit_code % 2**32)
    return "<rsp:ReceiveResponse>%s</rsp:CommandState></rsp:ReceiveResponse>" % body


def envelope(message, body):
    number = message.find(".//a:MessageID", NAMESPACES).text
    names = " ".join('xmlns:%s="%s"' % item for item in NAMESPACES.items())
    return (
        "<s:Envelope %s><s:Header><a:Action>x</a:Action><a:MessageID>uuid:%s</a:MessageID>"
        "<a:RelatesTo>%s</a:RelatesTo></s:Header><s:Body>%s</s:Body></s:Envelope>"
        % (names, str(uuid.uuid4()).upper(), number, body)
    ).encode()


def fault_body(fault):
    return (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value>"
        "</s:Subcode></s:Code><s:Reason><s:Text xml:lang='en-US'>%s</s:Text></s:Reason><s:Detail>"
        "<f:WSManFault xmlns:f='http://schemas.microsoft.com/wbem/wsman/1/wsmanfault' Code='%s' "
        "Machine='x'><f:Message>%s</f:Message></f:WSManFault></s:Detail></s:Fault>"
        % (escape(str(fault)), fault.number, escape(str(fault)))
    )


# -- HTTP -------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One handler serves one connection, which is what NTLM signs in.
    ntlm, is_signed_in = None, False

    def do_GET(self):
        running = [
            name
            for shell in list(SHELLS.values())
            for name, command in list(shell["commands"].items())
            if command.is_running()
        ]
        state = {
            "shells": len(SHELLS),
            "running": len(running),
            "ended": ENDED,
            "code_pages": sorted(set(CODE_PAGES)),
            "files": sorted(FILES),
            "directories": sorted(DIRECTORIES),
        }
        self.reply(200, json.dumps(state).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.sign_in():
            return
        message = ElementTree.fromstring(body)
        try:
            self.reply(200, envelope(message, answer(message)))
        except Fault as fault:
            self.reply(500, envelope(message, fault_body(fault)))

    def sign_in(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            expect = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
            self.is_signed_in = token == expect
        elif scheme in ("Negotiate", "NTLM"):
            self.is_signed_in = False
            token = base64.b64decode(token)
            if token[8] == 1:
                self.ntlm = Ntlm()
                challenge = base64.b64encode(self.ntlm.challenge(token)).decode()
                self.reply(401, b"", [("WWW-Authenticate", "%s %s" % (scheme, challenge))])
                return False
            self.is_signed_in = self.ntlm is not None and self.ntlm.is_proved(token)
        if self.is_signed_in:
            return True
        offers = ["Negotiate", 'Basic realm="WSMAN"']
        self.reply(401, b"", [("WWW-Authenticate", offer) for offer in offers])
        return False

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients that refuse the certificate are part of the tests."""


server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE)
# Each connection's thread shakes hands, so that one that does not holds nobody up.
server.socket = context.wrap_socket(server.socket, True, do_handshake_on_connect=False)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
