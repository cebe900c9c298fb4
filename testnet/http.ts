/** The few requests the launcher itself makes of its nodes. */

const TIMEOUT_MS = 2000;

/** Status of a GET; undefined when nobody answers. */
export async function probe(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return undefined;
  }
}

/** Body of a GET that answers 200; undefined otherwise. */
export async function getJson<T>(url: string, timeoutMs = TIMEOUT_MS): Promise<T | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return response.ok ? ((await response.json()) as T) : undefined;
  } catch {
    return undefined;
  }
}
