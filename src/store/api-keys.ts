/** The API keys of a node: what each may do and spend, and the hash of its secret; never the secret itself. */
import type { Json } from '../chain/modules/types.ts';
import { NodeError } from '../errors.ts';
import type { DocumentStore } from './document-file.ts';
import { DocumentFile } from './document-file.ts';

/** Those that were revoked included; the one revoked first makes room. */
export const MAX_API_KEYS = 1_000;

/** What a key may be used for: to ask, to send transactions, to have jobs done at the cost of the node's wallet. */
export const SCOPES = ['read', 'submit', 'jobs'] as const;
export type Scope = (typeof SCOPES)[number];

export interface ApiKeyRecord {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the whole key, in hex: 256 random bits need no slow hash. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  /** Null: as many as the limits of the client allow. */
  readonly requestsPerMinute: number | null;
  /** Of a UTC day. */
  readonly budgetPerDayUait: number;
  /** Models that may be asked for; null: all. */
  readonly models: readonly string[] | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
}

export class ApiKeyStore {
  readonly #document: DocumentStore;
  #records: ReadonlyMap<string, ApiKeyRecord>;
  /** Changes are made one after the other, each on the disk before it is seen. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(document: DocumentStore, records: readonly ApiKeyRecord[]) {
    this.#document = document;
    this.#records = new Map(records.map((record) => [record.id, record]));
  }

  /** In the order of their creation. */
  list(): readonly ApiKeyRecord[] {
    return [...this.#records.values()];
  }

  find(id: string): ApiKeyRecord | null {
    return this.#records.get(id) ?? null;
  }

  /** @throws NodeError CONFLICT when the name is taken or there are too many | STORAGE */
  add(record: ApiKeyRecord): Promise<void> {
    return this.#change((records) => {
      const live = [...records.values()].filter(({ revokedAtMs }) => revokedAtMs === null);
      if (live.some(({ name }) => name === record.name)) {
        throw new NodeError('CONFLICT', `there is an API key of the name ${record.name} already`, {
          data: { name: record.name },
          hint: 'give another name, or revoke that one first: aitbc key revoke ID',
        });
      }
      if (records.size >= MAX_API_KEYS && !makeRoom(records)) {
        throw new NodeError('CONFLICT', `there are ${MAX_API_KEYS} API keys, and no more are kept`, {
          data: { limit: MAX_API_KEYS },
          hint: 'revoke those that nobody uses: aitbc key list, aitbc key revoke ID',
        });
      }
      records.set(record.id, record);
    });
  }

  /** Again is harmless. @throws NodeError NOT_FOUND | STORAGE */
  async revoke(id: string, nowMs: number): Promise<ApiKeyRecord> {
    await this.#change((records) => {
      const record = records.get(id);
      if (!record) {
        throw new NodeError('NOT_FOUND', 'there is no such API key', {
          data: { id },
          hint: 'aitbc key list shows all, with their ids',
        });
      }
      records.set(id, { ...record, revokedAtMs: record.revokedAtMs ?? nowMs });
    });
    return this.#records.get(id) as ApiKeyRecord;
  }

  #change(act: (records: Map<string, ApiKeyRecord>) => void): Promise<void> {
    const done = this.#last.then(async () => {
      const records = new Map(this.#records);
      act(records);
      await this.#document.write(() => toJson(records));
      this.#records = records;
    });
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** @throws NodeError CORRUPT | STORAGE */
export async function openApiKeys(path: string): Promise<ApiKeyStore> {
  const document = new DocumentFile(path, 'the API keys');
  const json = await document.read();
  return new ApiKeyStore(document, json === null ? [] : fromJson(json));
}

/** Written by this program and covered by a digest: its form need not be checked field by field. */
function fromJson(json: Json): readonly ApiKeyRecord[] {
  return (json as unknown as { readonly keys: readonly ApiKeyRecord[] }).keys;
}

function toJson(records: ReadonlyMap<string, ApiKeyRecord>): Json {
  return { keys: [...records.values()] } as unknown as Json;
}

/** The order of a map is that of creation. @returns false when none was revoked */
function makeRoom(records: Map<string, ApiKeyRecord>): boolean {
  const revoked = [...records.values()].filter(({ revokedAtMs }) => revokedAtMs !== null);
  const first = revoked.sort((a, b) => (a.revokedAtMs ?? 0) - (b.revokedAtMs ?? 0))[0];
  return first !== undefined && records.delete(first.id);
}
