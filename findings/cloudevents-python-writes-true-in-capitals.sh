#!/usr/bin/env bash
# cloudevents 2.2.0 (PyPI): in binary mode a boolean attribute becomes the text `True`, in structured mode it is `true`.
#
# Behaviour: the RabbitMQ, HTTP and Kafka bindings write `str(True)`, Python's spelling. The CloudEvents specification (1.0.2,
#   "Type System") gives `true` and `false` as the canonical strings. Read back by the same bindings, the attribute is the text
#   "True", no boolean. The AMQP binding keeps the boolean.
# Why it matters here: a consumer on RabbitMQ that compares an extension such as `express` with "true" never matches.
# Seen: the lines below `expected`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install cloudevents==2.2.0

expected="rabbitmq: 'True', read back as 'True'
http: 'True', read back as 'True'
kafka: b'True'
amqp: True, read back as True
structured: true"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import json
from cloudevents.core.bindings import amqp, http, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

attributes = {"type": "order.placed", "source": "/shop", "id": "1", "specversion": "1.0", "express": True,
              "datacontenttype": "application/json"}
event, form = CloudEvent(attributes=attributes, data={"order": 1}), JSONFormat()

def back(binding, message):
    return binding.from_binary(message, form).get_attributes()["express"]

message = rabbitmq.to_binary(event, form)
print(f"rabbitmq: {message.headers['ce-express']!r}, read back as {back(rabbitmq, message)!r}")
message = http.to_binary(event, form)
print(f"http: {message.headers['ce-express']!r}, read back as {back(http, message)!r}")
print(f"kafka: {kafka.to_binary(event, form).headers['ce_express']!r}")
message = amqp.to_binary(event, form)
print(f"amqp: {message.application_properties['cloudEvents_express']!r}, read back as {back(amqp, message)!r}")
print(f"structured: {json.dumps(json.loads(rabbitmq.to_structured(event, form).body)['express'])}")
PYTHON
)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; expected:"; echo "$expected"; exit 1; }
