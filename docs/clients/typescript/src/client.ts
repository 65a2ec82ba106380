// The whole client: openapi-fetch gives each path its types; what is ours are the credential, how lists of values are
// written, and one error type.
import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./api.js";

export type Schemas = components["schemas"];
export type API = Client<paths>;

/** An error as the API tells it: branch on `code`, show `detail`, look into `errors` for the values that are wrong. */
export class Problem extends Error {
  constructor(
    readonly problem: Schemas["Problem"],
    readonly retryAfterSeconds?: number,
  ) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
  }

  get code(): string {
    return this.problem.code;
  }
}

/** A client of the API at an origin, with an access token or an API key once there is one. */
export function connect(origin: string, credential?: () => string | undefined): API {
  const api = createClient<paths>({
    baseUrl: origin,
    querySerializer: {
      array: { style: "form", explode: false }, // status=paid,placed
      object: { style: "form", explode: true }, // custom.color=red
    },
  });
  const manners: Middleware = {
    onRequest({ request }) {
      const token = credential?.();
      if (token) request.headers.set("Authorization", `Bearer ${token}`);
      return request;
    },
    async onResponse({ response }) {
      if (response.ok || response.status === 304) return undefined;
      const wait = response.headers.get("Retry-After");
      throw new Problem(await response.json(), wait ? Number(wait) : undefined);
    },
  };
  api.use(manners);
  return api;
}

type Page<T> = { data: T[]; next_cursor: string | null };

/** Every record of a list, page by page: `for await (const customer of all(cursor => …))`. */
export async function* all<T>(page: (cursor?: string) => Promise<{ data?: Page<T> }>): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const { data } = await page(cursor);
    if (!data) return;
    yield* data.data;
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
}
