"""What a shop does with the client that openapi-python-client makes. The arguments: a key, and two workers' addresses."""

import sys

from orderwright_client import AuthenticatedClient
from orderwright_client.api.imports import import_orders
from orderwright_client.api.orders import cancel_order, create_order, get_order, list_orders
from orderwright_client.api.products import import_products
from orderwright_client.models import (
    CancelAnswer,
    CancelRequest,
    ImportReport,
    ImportRequest,
    Money,
    Order,
    OrderAccepted,
    OrderLine,
    OrderLineRequest,
    OrderPage,
    OrderRequest,
    Payment,
    Problem,
    ProductBatch,
    ProductDraft,
)

key, here, there = sys.argv[1:]
placing = AuthenticatedClient(base_url=here, token=key, timeout=60)
looking = AuthenticatedClient(base_url=there, token=key, timeout=60)

tea = ProductDraft(sku="TEA-1", name="Tea", price=Money(minor=450, currency="EUR"), stock=1000)
import_products.sync(client=placing, body=ProductBatch(products=[tea]), idempotency_key="catalogue")


def order(reference, **more):
    lines = [OrderLineRequest(sku="TEA-1", quantity=2)]
    return OrderRequest(customer_id="ALFKI", lines=lines, external_reference=reference, **more)


# Placed, and waited for: the answer holds the order once it is paid.
answer = create_order.sync_detailed(client=placing, body=order("PO-1"), idempotency_key="o-1", prefer="wait=30")
accepted = answer.parsed
assert answer.status_code == 201 and isinstance(accepted, OrderAccepted), answer
assert answer.headers["preference-applied"] == "wait=30", answer.headers
assert isinstance(accepted.order, Order) and isinstance(accepted.order.payment, Payment), accepted
assert accepted.order.payment.captured_minor == 900, accepted
assert accepted.status in ("paid", "shipped", "delivered"), accepted.status

# A repeat is the same order.
again = create_order.sync_detailed(client=looking, body=order("PO-1"), idempotency_key="o-1", prefer="wait=30")
assert again.headers["idempotent-replayed"] == "true" and again.parsed.order_id == accepted.order_id, again

# Found, by its reference and by its id.
page = list_orders.sync(client=looking, external_reference="PO-1")
assert isinstance(page, OrderPage) and [found.order_id for found in page.items] == [accepted.order_id], page
found = get_order.sync(client=looking, order_id=accepted.order_id)
assert isinstance(found, Order) and isinstance(found.lines[0], OrderLine), found
assert found.lines[0].unit_price == Money(minor=450, currency="EUR"), found

# Declined: the wait ends with the order.
declined = create_order.sync(
    client=placing, body=order("PO-2", payment_token="tok_decline"), idempotency_key="o-2", prefer="wait=30"
)
assert declined.status == "cancelled" and declined.order.cancel_reason, declined

# Cancelled, while the gateway is silent about its money.
silent = create_order.sync(client=placing, body=order("PO-3", payment_token="tok_hang"), idempotency_key="o-3")
cancelled = cancel_order.sync(
    order_id=silent.order_id, client=looking, body=CancelRequest(actor="a shop", reason="customer"), idempotency_key="c-3"
)
assert isinstance(cancelled, CancelAnswer) and cancelled.outcome == "accepted", cancelled

# Many at once, as JSON.
report = import_orders.sync(
    client=placing, body=ImportRequest(orders=[order("PO-1"), order("PO-4")]), idempotency_key="i-1"
)
assert isinstance(report, ImportReport) and (report.created, report.replayed) == (1, 1), report

# A refusal is a problem with a code.
refused = create_order.sync(client=placing, body=OrderRequest(customer_id="ALFKI", lines=[]), idempotency_key="o-5")
assert isinstance(refused, Problem) and refused.code == "validation_failed", refused
assert refused.errors[0].pointer == "/lines", refused

print("all is well")
