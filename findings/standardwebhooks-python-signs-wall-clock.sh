#!/usr/bin/env bash
# standardwebhooks 1.1.0 (PyPI): Webhook.sign reads the clock face of an aware datetime as if it were UTC.
#
# Behaviour: two datetimes that are equal, one in UTC and one two hours east of it, get different signatures. The second one is
#   the signature of a moment two hours later. A sender that signs `datetime.now(zone)` and puts the true Unix time into
#   `webhook-timestamp` is refused by every verifier, this package's own included.
# Why it matters here: orders are sent and received over Standard Webhooks. Sign with a time in UTC.
# Seen: the line below `expected`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install standardwebhooks==1.1.0

expected='equal moments: True; same signature: False; signed as two hours later: True; verified: No matching signature found'
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import base64
from datetime import datetime, timedelta, timezone
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook("whsec_" + base64.b64encode(b"k" * 24).decode())
utc = datetime.now(timezone.utc)
east = utc.astimezone(timezone(timedelta(hours=2)))
body = '{"order":"1"}'
signed = webhook.sign("msg_1", east, body)
later = webhook.sign("msg_1", utc + timedelta(hours=2), body)
headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(east.timestamp())), "webhook-signature": signed}
try:
    webhook.verify(body, headers)
    verified = "yes"
except WebhookVerificationError as refused:
    verified = str(refused)
print(f"equal moments: {utc == east}; same signature: {webhook.sign('msg_1', utc, body) == signed}; "
      f"signed as two hours later: {signed == later}; verified: {verified}")
PYTHON
)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; expected: $expected"; exit 1; }
