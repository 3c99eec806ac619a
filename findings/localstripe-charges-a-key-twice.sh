#!/usr/bin/env bash
# localstripe 1.15.10 (PyPI): two confirmed payments under one Idempotency-Key are two payments.
#
# Behaviour: the stand-in takes the header and ignores it. The same request with the same key gives another PaymentIntent each time,
#   both succeeded. Stripe's documentation says that the second answer repeats the first.
# Why it matters here: a test against this stand-in cannot show that a retry charges once, and passes a client that charges twice.
# Seen: the line below `expected`.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install localstripe==1.15.10
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd "$folder" && exec venv/bin/localstripe --port "$port" --from-scratch) >"$folder/log" 2>&1 &
server=$!

expected='first: succeeded 450; second: succeeded 450; same payment: False; taken in all: 900'
seen=$("$folder/venv/bin/python" - "$port" <<'PYTHON'
import json, sys, time, urllib.error, urllib.parse, urllib.request

address = f"http://127.0.0.1:{sys.argv[1]}/v1/"

def call(path, form=None, key=None):
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    headers = {"Authorization": "Bearer sk_test_12345"} | ({"Idempotency-Key": key} if key else {})
    with urllib.request.urlopen(urllib.request.Request(address + path, body, headers), timeout=10) as answer:
        return json.load(answer)

for attempt in range(100):
    try:
        customer = call("customers", {"description": "one"})
        break
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.1)
card = {"type": "card", "card[number]": "4242424242424242", "card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"}
method = call("payment_methods", card)["id"]
call(f"payment_methods/{method}/attach", {"customer": customer["id"]})
form = {"amount": "450", "currency": "eur", "customer": customer["id"], "payment_method": method, "confirm": "true"}
first, second = (call("payment_intents", form, key="pay-1") for _ in range(2))
kept = [call("payment_intents/" + made["id"])["amount"] for made in (first, second)]
print(f"first: {first['status']} {first['amount']}; second: {second['status']} {second['amount']}; "
      f"same payment: {first['id'] == second['id']}; taken in all: {sum(kept)}")
PYTHON
) || { cat "$folder/log"; exit 2; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; expected: $expected"; exit 1; }
