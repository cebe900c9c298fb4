/** Rows that are gone with the page or the process: a job that runs then is not found again. */
import { bytesKey, compareBytes, keyBytes } from '../bytes.ts';
import type { Rows } from '../compute/coordinator/ports.ts';

export function createMemoryRows(): Rows {
  const values = new Map<string, Uint8Array>();
  return {
    load: async function* () {
      await Promise.resolve();
      const rows = [...values].map(([key, value]) => ({ key: keyBytes(key), value }));
      yield* rows.sort((a, b) => compareBytes(a.key, b.key));
    },
    persist: (rows) => {
      for (const { key, value } of rows) {
        if (value) values.set(bytesKey(key), value);
        else values.delete(bytesKey(key));
      }
      return Promise.resolve();
    },
  };
}
