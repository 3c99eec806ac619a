#!/usr/bin/env python3
"""A webhook endpoint: takes events of orders, verifies who sent them, and prints each once.

    orderwright webhook-endpoints add https://shop.example/events      # shows the secret, once
    WEBHOOK_SECRET=whsec_... python3 receive_events.py 9911

Verifies by the rules of Standard Webhooks (https://www.standardwebhooks.com). Needs Python 3.9 and nothing else.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import time

TOLERANCE_S = 300
if "WEBHOOK_SECRET" not in os.environ:
    sys.exit("WEBHOOK_SECRET is not set; it is the secret that `webhook-endpoints add` has shown")
SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
SEEN = set()  # A real receiver keeps these in its database, in one transaction with what it does about an event.


def is_genuine(headers, body):
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > TOLERANCE_S:
        return False
    signed = b".".join([headers.get("webhook-id", "").encode(), sent_at.encode(), body])
    wanted = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    # Two signatures while secrets change; either will do.
    given = [one.removeprefix("v1,") for one in headers.get("webhook-signature", "").split()]
    return any(hmac.compare_digest(one, wanted) for one in given)


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not is_genuine(self.headers, body):
            self.answer(401)
            return
        event_id = self.headers["webhook-id"]
        if event_id not in SEEN:
            event = json.loads(body)
            print(event["type"], event["data"]["order_id"], event["data"]["position"], flush=True)
            SEEN.add(event_id)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Endpoint)
    print("listening on port", server.server_address[1], file=sys.stderr, flush=True)
    server.serve_forever()
