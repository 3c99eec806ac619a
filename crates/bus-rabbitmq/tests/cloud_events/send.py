"""Sends a CloudEvent to an exchange in each of the ways in which the CloudEvents SDK for Python can, by way of pika.

Arguments: the broker's address, the exchange, the order that the events are about. Prints one line for each: a name, and the event's id.
"""
import json
import sys
import uuid
from datetime import datetime, timezone

import pika
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

address, exchange, order = sys.argv[1:4]
connection = pika.BlockingConnection(pika.URLParameters(address))
channel = connection.channel()
channel.confirm_delivery()


def event(kind="com.example.K", data=None, **more):
    attributes = {
        "id": str(uuid.uuid4()),
        "source": "/tests",
        "type": kind,
        "time": datetime(2024, 11, 14, 10, 30, 0, 250000, tzinfo=timezone.utc),
        "correlationid": order,
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        **more,
    }
    return CloudEvent(attributes=attributes, data=data or {"readingNumber": 7})


def send(name, sent, content_type, headers, body):
    properties = pika.BasicProperties(content_type=content_type, headers=headers, delivery_mode=2)
    channel.basic_publish(exchange, "", body, properties, mandatory=True)
    print(name, sent.get_id(), flush=True)


def by_rabbitmq(name, sent, message):
    send(name, sent, message.content_type, message.headers, message.body)


def by_amqp(name, sent, message):
    content_type = message.properties.get("content-type")
    send(name, sent, content_type, message.application_properties, message.application_data)


JSON = {"datacontenttype": "application/json"}
sent = event(**JSON)
by_rabbitmq("rabbitmq-binary", sent, rabbitmq.to_binary_event(sent))
sent = event()
by_rabbitmq("rabbitmq-binary-without-a-content-type", sent, rabbitmq.to_binary_event(sent))
sent = event(**JSON)
by_rabbitmq("rabbitmq-structured", sent, rabbitmq.to_structured_event(sent))
sent = event(data=b'{"readingNumber": 7}', **JSON)
by_rabbitmq("rabbitmq-structured-with-bytes", sent, rabbitmq.to_structured_event(sent))
sent = event(**JSON)
by_amqp("amqp-binary", sent, amqp.to_binary_event(sent))
sent = event(**JSON)
by_amqp("amqp-structured", sent, amqp.to_structured_event(sent))
# As the C# SDK does it: the attributes of a structured event stand in the headers too.
sent = event(**JSON)
both = amqp.to_structured_event(sent)
headers = amqp.to_binary_event(sent).application_properties
send("structured-with-headers", sent, both.properties["content-type"], headers, both.application_data)
# Not read: several at once, another format, data that is no JSON, a type that no queue wants.
sent = event(**JSON)
batch = b"[" + JSONFormat().write(sent) + b"]"
send("batch", sent, "application/cloudevents-batch+json", {}, batch)
send("avro", sent, "application/cloudevents+avro", {}, b"\x00")
sent = event(datacontenttype="application/xml", data="<a/>")
by_rabbitmq("xml", sent, rabbitmq.to_binary_event(sent))
by_rabbitmq("xml-structured", sent, rabbitmq.to_structured_event(sent))
sent = event("com.example.Unknown", **JSON)
by_rabbitmq("unknown", sent, rabbitmq.to_structured_event(sent))
plain = event(**JSON)
send("plain", plain, "application/json", {}, json.dumps({"readingNumber": 7}).encode())
connection.close()
