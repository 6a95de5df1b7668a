"""email: a mail of an IMAP mailbox becomes an event; a mail is sent."""

import os
import subprocess

import services

PASSWORD = "hunter2hunter2"


def run(pack):
    server, place = pack.server, pack.place()
    with services.dovecot(place, "ann", PASSWORD) as imap, services.smtp_sink() as smtp:
        pack.configure(
            smtp_accounts=[{
                "name": "out", "server": "127.0.0.1", "port": smtp.server_address[1],
                "secure": False, "smtp_auth": False,
            }],
            imap_accounts=[{
                "name": "in", "server": "127.0.0.1", "port": imap.port, "secure": False,
                "username": "ann", "password": PASSWORD,
            }],
        )
        drop(place, "From: bob@example.org\nTo: ann@example.org\nSubject: Hello\n"
                    "Message-ID: <1@example.org>\nDate: Mon, 02 Jan 2023 10:00:00 +0000\n\nGood day.\n")
        pack.start_sensor("IMAPSensor")
        mail = server.wait_events("email.imap.message", 1)[0]["payload"]
        pack.check("a mail is an event", (mail["subject"], mail["from"], mail["body"].strip())
                   == ("Hello", "bob@example.org", "Good day."), mail)
        pack.check("with its headers", bool(mail.get("headers")), mail)
        pack.succeeds("a mail is sent", "email.send_email", {
            "account": "out", "email_from": "ann@example.org", "email_to": ["bob@example.org"],
            "subject": "Answer", "message": "And to you.",
        })
        pack.check("it arrives", any("Answer" in mail for mail in smtp.mails), smtp.mails)
        shown = str([server.get("/configs/email"), server.get("/executions", limit=5)])
        pack.check("the password shows nowhere", PASSWORD not in shown)


def drop(place, text):
    inbox = os.path.join(place, "mail", "Maildir", "new")
    path = os.path.join(place, "mail", "Maildir", "tmp", "1.1.example")
    with open(path, "w") as file:
        file.write(text)
    if os.geteuid() == 0:
        subprocess.run(["chown", "nobody:nogroup", path], check=True)
    os.rename(path, os.path.join(inbox, "1.1.example"))
