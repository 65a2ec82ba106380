// A short tour of a running API: node dist/tour.js, with API_URL where it is not at http://localhost:8080.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { all, connect, Problem } from "./client.js";

const origin = process.env["API_URL"] ?? "http://localhost:8080";
let token: string | undefined;
const api = connect(origin, () => token);

function say(text: string): void {
  process.stdout.write(`  ${text}\n`);
}

/** What a refused call says. */
async function refused(call: Promise<unknown>): Promise<Problem> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("the call was expected to be refused");
}

function must<T>(value: T | undefined | null): T {
  assert(value !== undefined && value !== null);
  return value;
}

process.stdout.write(`A tour of ${origin}\n`);

const nobody = await refused(api.GET("/api/v1/customers"));
assert.equal(nobody.code, "auth.required");
say(`without a credential: ${nobody.message}`);

const signUp = await api.POST("/api/v1/auth/signup", {
  body: {
    name: "Ada Lovelace",
    email: `ada-${randomUUID()}@example.com`,
    password: `a long walk ${randomUUID()}`,
    organization: "Analytical Engines",
  },
});
const grant = must(signUp.data);
token = grant.access_token;
say(`signed up as ${grant.user.email} of ${grant.tenant.name}`);

// A repeat with the same key changes nothing and answers the same.
const key = randomUUID();
const create = () =>
  api.POST("/api/v1/customers", {
    params: { header: { "Idempotency-Key": key } },
    body: { name: "Alfreds Futterkiste", code: "ALFKI", email: "maria@example.com", tags: ["vip"], custom: { color: "red" } },
  });
const created = await create();
const customer = must(created.data);
const repeated = await create();
assert.equal(repeated.response.headers.get("Idempotency-Replayed"), "true");
assert.equal(repeated.data?.id, customer.id);
say(`created ${customer.name} once, though it was asked for twice`);

for (let i = 1; i <= 5; i++) {
  await api.POST("/api/v1/customers", { body: { name: `Customer ${i}`, code: `C-${i}`, tags: i % 2 ? ["odd"] : [] } });
}
const names: string[] = [];
const pages = all((cursor) => api.GET("/api/v1/customers", { params: { query: { limit: 2, sort: ["name"], ...(cursor ? { cursor } : {}) } } }));
for await (const each of pages) names.push(each.name);
assert.deepEqual(names, ["Alfreds Futterkiste", "Customer 1", "Customer 2", "Customer 3", "Customer 4", "Customer 5"]);
say(`listed ${names.length} customers in pages of 2`);

const found = await api.GET("/api/v1/customers", {
  params: { query: { "tags[any]": ["vip", "new"], custom: { "custom.color": "red" }, "email[null]": false } },
});
assert.deepEqual(found.data?.data.map((c) => c.code), ["ALFKI"]);
say("found one of them by tag, custom field and e-mail");

const path = { id: customer.id };
const etag = must(created.response.headers.get("ETag"));
const changed = await api.PATCH("/api/v1/customers/{id}", {
  params: { path, header: { "If-Match": etag } },
  body: { name: "Alfreds Futterkiste GmbH", email: null },
});
assert.equal(changed.data?.version, 2);
const late = await refused(
  api.PATCH("/api/v1/customers/{id}", { params: { path, header: { "If-Match": etag } }, body: { name: "Too late" } }),
);
assert.equal(late.code, "version_mismatch");
say("changed it, and a second change by the old ETag was refused");

const wrong = await refused(api.POST("/api/v1/customers", { body: { name: " ", email: "nowhere" } }));
assert.deepEqual(wrong.problem.errors?.map((e) => e.pointer).sort(), ["/email", "/name"]);
say(`refused with every mistake named: ${wrong.problem.errors?.map((e) => `${e.pointer} ${e.detail}`).join("; ")}`);

const order = must(
  (
    await api.POST("/api/v1/orders", {
      body: {
        customer_id: customer.id,
        currency: "EUR",
        lines: [{ sku: "CHAI-20", description: "Chai, 20 bags", quantity: 12, unit_price_cents: 1450, discount_bp: 1000 }],
      },
    })
  ).data,
);
assert.equal(order.total_cents, 15660);
for (const act of ["place", "pay", "ship"] as const) {
  await api.POST(`/api/v1/orders/{id}/${act}`, { params: { path: { id: order.id } } });
}
const toolate = await refused(api.POST("/api/v1/orders/{id}/cancel", { params: { path: { id: order.id } } }));
assert.equal(toolate.problem.status, 409);
const expanded = await api.GET("/api/v1/orders/{id}", { params: { path: { id: order.id }, query: { expand: ["customer"] } } });
assert.equal(expanded.data?.customer?.name, "Alfreds Futterkiste GmbH");
say(`order ${order.number} of ${(order.total_cents / 100).toFixed(2)} ${order.currency} was placed, paid and shipped; cancelling it: ${toolate.problem.detail}`);

const bulk = await api.POST("/api/v1/customers/bulk", {
  body: { mode: "upsert", by: "code", atomic: false, items: [{ code: "C-1", name: "First" }, { code: "C-9", name: "" }] },
});
assert.equal(bulk.response.status, 207);
say(`a bulk said of each item what came of it: ${bulk.data?.results.map((r) => r.error?.code ?? r.status).join(", ")}`);

const last = must((await api.GET("/api/v1/customers", { params: { query: { code: ["C-5"] } } })).data?.data[0]);
await api.DELETE("/api/v1/customers/{id}", { params: { path: { id: last.id } } });
const gone = await refused(api.GET("/api/v1/customers/{id}", { params: { path: { id: last.id } } }));
assert.equal(gone.code, "customer.not_found");
await api.POST("/api/v1/customers/{id}/restore", { params: { path: { id: last.id } } });
const history = await api.GET("/api/v1/customers/{id}/history", { params: { path: { id: last.id } } });
assert.deepEqual(history.data?.data.map((e) => e.action), ["customer.restored", "customer.deleted", "customer.created"]);
say(`deleted and restored ${last.name}; its history: ${history.data?.data.map((e) => e.action).join(", ")}`);

const made = must((await api.POST("/api/v1/api-keys", { body: { name: "Reader", scopes: ["customers:read"] } })).data);
const reader = connect(origin, () => made.key);
assert.equal((await reader.GET("/api/v1/customers", {})).response.status, 200);
const forbidden = await refused(reader.POST("/api/v1/customers", { body: { name: "Nobody" } }));
assert.equal(forbidden.code, "permission_denied");
say("an API key that may read reads, and may not write");

process.stdout.write("All of it went as it should.\n");
