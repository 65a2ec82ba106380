// Writes messages that the providers' own libraries have signed, as JSON, one a line.
import { sign } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const bodies = ['{"id":"evt_1","type":"invoice.paid","created":1721571670}', '{"name":"Zoë ☃ 𝄞","n":1e400}', "", "not JSON\r\n\t"];
const out = (provider, secret, headers, body) => console.log(JSON.stringify({ provider, secret, headers, body }));
const stripe = new Stripe("sk_test_unused");

for (const body of bodies) {
  const secret = "whsec_" + Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
  const at = new Date();
  out("standard", secret, {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign("msg_1", at, body),
  }, body);
  out("stripe", "whsec_test", { "stripe-signature": stripe.webhooks.generateTestHeaderString({ payload: body, secret: "whsec_test" }) }, body);
  if (body) out("github", "a secret", { "x-hub-signature-256": await sign("a secret", body) }, body);
}
