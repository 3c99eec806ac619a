// What a shop does with the client that hey-api makes. The arguments: a key, and two workers' addresses.

import { cancelOrder, createOrder, getOrder, importOrders, listOrders, importProducts } from "./client/sdk.gen.ts";
import type { Order, OrderRequest } from "./client/types.gen.ts";
import { client } from "./client/client.gen.ts";

declare const process: { argv: string[] };

const [key, here, there] = process.argv.slice(2) as [string, string, string];
const placing = { baseUrl: here, auth: key };
const looking = { baseUrl: there, auth: key };

function equal(found: unknown, expected: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
}

function order(reference: string, more: Partial<OrderRequest> = {}): OrderRequest {
  return { customer_id: "ALFKI", external_reference: reference, lines: [{ sku: "TEA-1", quantity: 2 }], ...more };
}

const tea = { sku: "TEA-1", name: "Tea", price: { minor: 450, currency: "EUR" }, stock: 1000 };
await importProducts({ ...placing, body: { products: [tea] }, headers: { "Idempotency-Key": "catalogue" }, throwOnError: true });

// Placed, and waited for: the answer holds the order once it is paid.
const placed = await createOrder({
  ...placing,
  body: order("PO-1"),
  headers: { "Idempotency-Key": "o-1", Prefer: "wait=30" },
  throwOnError: true,
});
equal(placed.response.headers.get("preference-applied"), "wait=30");
equal(placed.data.order?.payment?.captured_minor, 900);
equal(["paid", "shipped", "delivered"].includes(placed.data.status), true);

// Found, by its reference and by its id.
const page = await listOrders({ ...looking, query: { external_reference: "PO-1" }, throwOnError: true });
equal(page.data.items.map((found) => found.order_id), [placed.data.order_id]);
const found: Order = (await getOrder({ ...looking, path: { order_id: placed.data.order_id }, throwOnError: true })).data;
equal(found.lines?.[0]?.unit_price.minor, 450);

// Cancelled, while the gateway is silent about its money.
const silent = await createOrder({
  ...placing,
  body: order("PO-3", { payment_token: "tok_hang" }),
  headers: { "Idempotency-Key": "o-3" },
  throwOnError: true,
});
const cancelled = await cancelOrder({
  ...looking,
  path: { order_id: silent.data.order_id },
  body: { actor: "a shop", reason: "customer" },
  headers: { "Idempotency-Key": "c-3" },
  throwOnError: true,
});
equal(cancelled.data.outcome, "accepted");

// Many at once, as JSON.
const report = await importOrders({
  ...placing,
  body: { orders: [order("PO-1"), order("PO-4")] },
  headers: { "Idempotency-Key": "i-1" },
  throwOnError: true,
});
equal([report.data.created, report.data.replayed], [1, 1]);

// A refusal is a problem with a code.
const refused = await createOrder({
  ...placing,
  body: { customer_id: "ALFKI", lines: [] },
  headers: { "Idempotency-Key": "o-5" },
});
equal(refused.error?.code, "validation_failed");
equal(refused.error?.errors?.[0]?.pointer, "/lines");

console.log("all is well", client.getConfig().baseUrl);
