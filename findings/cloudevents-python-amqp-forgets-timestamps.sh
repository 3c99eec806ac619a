#!/usr/bin/env bash
# cloudevents 2.2.0 (PyPI): in the AMQP binding a timestamp is cut to milliseconds, and one in an extension comes back as a number.
#
# Behaviour: the AMQP binding writes every timestamp as an integer of milliseconds since 1970. Only `time` is turned back; an
#   extension of the type Timestamp stays an integer, so the same event says one thing before and another after. Microseconds
#   are gone. The RabbitMQ binding writes RFC 3339 and keeps them. The AMQP protocol binding of CloudEvents (1.0.2, "Mapping")
#   has the AMQP type `timestamp` for this; a plain integer does not say that it is a time.
# Why it matters here: a consumer that takes both bindings has to read `time` in two forms, and cannot tell a deadline from a count.
# Seen: the lines below `expected`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install cloudevents==2.2.0

expected="amqp: time 1731580200250, due 1731580200250
amqp, read back: time 2024-11-14T10:30:00.250000+00:00, due 1731580200250 (int)
rabbitmq: time 2024-11-14T10:30:00.250123Z, due 2024-11-14T10:30:00.250123Z
rabbitmq, read back: time 2024-11-14T10:30:00.250123+00:00, due 2024-11-14T10:30:00.250123Z (str)"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timezone

from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.v1.event import CloudEvent

at = datetime(2024, 11, 14, 10, 30, 0, 250123, tzinfo=timezone.utc)
attributes = {"type": "order.placed", "source": "/shop", "id": "1", "time": at, "due": at,
              "datacontenttype": "application/json"}
event = CloudEvent(attributes=attributes, data={"order": 1})

def told(name, binding, headers, prefix):
    print(f"{name}: time {headers[prefix + 'time']}, due {headers[prefix + 'due']}")
    back = binding.from_binary_event(binding.to_binary_event(event)).get_attributes()
    print(f"{name}, read back: time {back['time'].isoformat()}, due {back['due']} ({type(back['due']).__name__})")

told("amqp", amqp, amqp.to_binary_event(event).application_properties, "cloudEvents_")
told("rabbitmq", rabbitmq, rabbitmq.to_binary_event(event).headers, "ce-")
PYTHON
)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; expected:"; echo "$expected"; exit 1; }
