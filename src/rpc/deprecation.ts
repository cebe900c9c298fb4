/** Headers of what is answered for clients of the replaced system: RFC 9745, RFC 8594. */

/** Since when, and until when it is answered at least. */
const DEPRECATED_SINCE_MS = Date.UTC(2026, 10, 1);
const SUNSET_MS = Date.UTC(2028, 0, 1);

/** @param successor the path to use in its place; null: there is none */
export function deprecation(successor: string | null): Record<string, string> {
  return {
    deprecation: `@${DEPRECATED_SINCE_MS / 1000}`,
    sunset: new Date(SUNSET_MS).toUTCString(),
    ...(successor !== null && { link: `<${successor}>; rel="successor-version"` }),
  };
}
