// Verifies the messages on its input, JSON each in a line, as a receiver would, and writes for each whether it is good.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  let good = true;
  try {
    new Webhook(secret).verify(body, headers);
  } catch {
    good = false;
  }
  console.log(good);
}
