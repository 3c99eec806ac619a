// What a shop does with the types that openapi-typescript makes. The arguments: a key, and two workers' addresses.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

declare const process: { argv: string[] };

const [key, here, there] = process.argv.slice(2) as [string, string, string];
const headers = { "X-Api-Key": key };
const placing = createClient<paths>({ baseUrl: here, headers });
const looking = createClient<paths>({ baseUrl: there, headers });

function equal(found: unknown, expected: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
}

function sure<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

function order(reference: string, token?: string): components["schemas"]["OrderRequest"] {
  return { customer_id: "ALFKI", external_reference: reference, payment_token: token, lines: [{ sku: "TEA-1", quantity: 2 }] };
}

const tea = { sku: "TEA-1", name: "Tea", price: { minor: 450, currency: "EUR" }, stock: 1000 };
sure(await placing.PUT("/products", { params: { header: { "Idempotency-Key": "catalogue" } }, body: { products: [tea] } }));

// Placed, and waited for: the answer holds the order once it is paid.
const placed = sure(
  await placing.POST("/orders", {
    params: { header: { "Idempotency-Key": "o-1", Prefer: "wait=30" } },
    body: order("PO-1"),
  }),
);
equal(placed.order?.payment?.captured_minor, 900);

// Found, by its reference and by its id.
const page = sure(await looking.GET("/orders", { params: { query: { external_reference: "PO-1" } } }));
equal(page.items.map((found) => found.order_id), [placed.order_id]);
const found = sure(await looking.GET("/orders/{order_id}", { params: { path: { order_id: placed.order_id } } }));
equal(found.lines?.[0]?.unit_price.minor, 450);

// Cancelled, while the gateway is silent about its money.
const silent = sure(
  await placing.POST("/orders", { params: { header: { "Idempotency-Key": "o-3" } }, body: order("PO-3", "tok_hang") }),
);
const cancelled = sure(
  await looking.POST("/orders/{order_id}/cancel", {
    params: { path: { order_id: silent.order_id }, header: { "Idempotency-Key": "c-3" } },
    body: { actor: "a shop", reason: "customer" },
  }),
);
equal(cancelled.outcome, "accepted");

// Many at once, as JSON.
const report = sure(
  await placing.POST("/imports", {
    params: { header: { "Idempotency-Key": "i-1" } },
    body: { orders: [order("PO-1"), order("PO-4")] },
  }),
);
equal([report.created, report.replayed], [1, 1]);

// A refusal is a problem with a code.
const refused = await placing.POST("/orders", {
  params: { header: { "Idempotency-Key": "o-5" } },
  body: { customer_id: "ALFKI", lines: [] },
});
equal(refused.error?.code, "validation_failed");

console.log("all is well");
