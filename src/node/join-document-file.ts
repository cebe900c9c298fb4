/** The join document that lies beside a chain's genesis, for others to join with. */
import { open, stat } from 'node:fs/promises';
import type { Genesis } from '../chain/genesis.ts';
import type { JoinDocument } from '../chain/join-document.ts';
import { verifyJoinDocument } from '../chain/join-document.ts';
import {
  joinDocumentToJson,
  MAX_EMBEDDED_GENESIS_CHARACTERS,
  MAX_JOIN_DOCUMENT_CHARACTERS,
  parseJoinDocument,
} from '../chain/join-document-json.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import type { Json, JsonObject } from '../chain/modules/types.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { errorCode, storageError } from '../store/storage-error.ts';

export interface JoinDocumentParts {
  readonly path: string;
  readonly crypto: Crypto;
  readonly genesis: Genesis;
  readonly genesisJson: Json;
}

/** Read anew when the file changes, so that a renewed one counts at once; only what others would accept is given out. */
export class JoinDocumentFile {
  readonly #parts: JoinDocumentParts;
  readonly #smallGenesis: Json | null;
  #seen = '';
  #document: JoinDocument | null = null;

  constructor(parts: JoinDocumentParts) {
    this.#parts = parts;
    const isSmall = JSON.stringify(parts.genesisJson).length <= MAX_EMBEDDED_GENESIS_CHARACTERS;
    this.#smallGenesis = isSmall ? parts.genesisJson : null;
  }

  /** @throws NodeError NOT_FOUND when there is none, or none that may be relied on; STORAGE */
  async read(nowMs: number): Promise<JsonObject> {
    const { path, crypto, genesis } = this.#parts;
    try {
      const { mtimeMs, size } = await stat(path);
      const seen = `${mtimeMs} ${size}`;
      if (seen !== this.#seen || !this.#document) {
        this.#document = null;
        const document = parseJoinDocument(await readText(path));
        verifyJoinDocument(crypto, genesis, document, nowMs);
        this.#document = document;
        this.#seen = seen;
      }
    } catch (error) {
      throw failure(error, path);
    }
    if (this.#document.validUntilMs <= nowMs) throw unusable('the join document of this node has expired');
    return joinDocumentToJson({ ...this.#document, genesis: this.#smallGenesis });
  }
}

async function readText(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > MAX_JOIN_DOCUMENT_CHARACTERS) throw unusable('the join document of this node is too large');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function failure(error: unknown, path: string): NodeError {
  if (isNodeError(error)) return error.code === 'NOT_FOUND' ? error : unusable(error.message);
  return errorCode(error) === 'ENOENT'
    ? unusable('this node has no join document')
    : storageError(error, 'read the join document', path);
}

function unusable(why: string): NodeError {
  return new NodeError('NOT_FOUND', why, {
    hint: 'its operator puts one that the validators signed beside the genesis, as join.json; ask another node meanwhile',
  });
}
