/**
 * The one error base, and the one table that maps its codes to HTTP, JSON-RPC and exit codes.
 *
 * Messages say what happened; `hint` says what to do next. Codes are literals and are never reused for another meaning.
 */

/** What a code means at each face of the program. `retryable`: the same request may succeed later, unchanged. */
export interface ErrorKind {
  readonly http: number;
  readonly jsonRpc: number;
  readonly exit: number;
  readonly retryable: boolean;
  readonly title: string;
}

const kind = (http: number, jsonRpc: number, exit: number, retryable: boolean, title: string): ErrorKind => ({
  http,
  jsonRpc,
  exit,
  retryable,
  title,
});

/** Every code of the program. JSON-RPC numbers follow EIP-1474 up to -32005; ours start at -32011. */
export const ERRORS = {
  // Requests
  PARSE_ERROR: kind(400, -32700, 2, false, 'Not parseable'),
  INVALID_REQUEST: kind(400, -32600, 2, false, 'Invalid request'),
  METHOD_NOT_FOUND: kind(404, -32601, 2, false, 'No such method'),
  INVALID_PARAMS: kind(400, -32602, 2, false, 'Invalid parameters'),
  INTERNAL: kind(500, -32603, 1, false, 'Unexpected failure'),
  NOT_FOUND: kind(404, -32001, 4, false, 'Not found'),
  UNKNOWN_CHAIN: kind(404, -32001, 4, false, 'No such chain here'),
  CHAIN_STOPPED: kind(503, -32002, 5, true, 'Chain does not run'),
  GONE: kind(410, -32601, 2, false, 'No longer offered'),
  PRUNED: kind(410, -32001, 4, false, 'No longer kept'),
  SYNCING: kind(503, -32002, 5, true, 'Node is catching up'),
  NO_QUORUM: kind(503, -32002, 5, true, 'No quorum of validators'),
  METHOD_DISABLED: kind(403, -32004, 6, false, 'Method disabled'),
  RATE_LIMITED: kind(429, -32005, 5, true, 'Too many requests'),
  TOO_LARGE: kind(413, -32005, 2, false, 'Too large'),
  UNAUTHENTICATED: kind(401, -32011, 6, false, 'Not authenticated'),
  FORBIDDEN: kind(403, -32012, 6, false, 'Not allowed'),
  // 402, not 429: clients retry a 429 by themselves, and no wait of theirs brings the next day's budget.
  BUDGET_SPENT: kind(402, -32005, 6, false, 'Budget spent'),
  TIMEOUT: kind(504, -32013, 8, true, 'Timed out'),
  NOT_READY: kind(425, -32013, 8, true, 'Not ready yet'),
  CONFLICT: kind(409, -32014, 7, false, 'Conflict'),
  // 422, not 409: clients retry a 409 by themselves, and it would be refused again.
  IDEMPOTENCY_MISMATCH: kind(422, -32014, 7, false, 'Idempotency key of another request'),
  DEV_KEY: kind(409, -32015, 10, false, 'Development key off devnet'),
  WOULD_DOUBLE_SIGN: kind(409, -32015, 10, false, 'Would sign twice'),
  WRONG_GENESIS: kind(409, -32015, 10, false, 'Different genesis'),
  KEY_EXISTS: kind(409, -32015, 10, false, 'Key exists'),
  UNREACHABLE: kind(502, -32016, 5, true, 'Unreachable'),

  // Bytes
  CODEC: kind(400, -32602, 2, false, 'Bytes are not canonical'),
  BAD_ADDRESS: kind(400, -32602, 2, false, 'Not an address'),
  BAD_PROOF: kind(422, -32003, 11, false, 'Proof does not verify'),
  BAD_CERTIFICATE: kind(422, -32003, 11, false, 'Certificate does not verify'),
  BAD_BLOCK: kind(422, -32003, 11, false, 'Block is invalid'),
  FORK: kind(409, -32015, 10, false, 'Two certified blocks of one height'),
  OUT_OF_TRUST: kind(409, -32015, 10, false, 'Too far from a trusted block'),
  BAD_JOIN_DOCUMENT: kind(422, -32003, 10, false, 'Join document cannot be relied on'),
  BAD_GENESIS: kind(400, -32602, 3, false, 'Genesis is invalid'),
  UPGRADE_NEEDED: kind(409, -32015, 3, false, 'A newer program is needed'),

  // Transactions refused before they are in a block
  TX_REJECTED: kind(422, -32003, 7, false, 'Transaction rejected'),
  UNKNOWN_TX_TYPE: kind(422, -32003, 7, false, 'Unknown transaction type'),
  INSUFFICIENT_FUNDS: kind(422, -32003, 7, false, 'Insufficient funds'),
  FEE_TOO_LOW: kind(422, -32003, 7, false, 'Fee too low'),
  BAD_NONCE: kind(422, -32003, 7, true, 'Wrong nonce'),
  NONCE_GAP: kind(422, -32003, 7, true, 'Nonce too far ahead'),
  BAD_SIGNATURE: kind(422, -32003, 7, false, 'Signature does not verify'),
  WRONG_CHAIN: kind(422, -32003, 7, false, 'Signed for another chain'),
  EXPIRED: kind(422, -32003, 7, false, 'Transaction expired'),
  ALREADY_KNOWN: kind(409, -32014, 7, false, 'Transaction known already'),
  UNDERPRICED: kind(422, -32003, 7, false, 'Replacement fee too low'),
  POOL_FULL: kind(503, -32002, 5, true, 'Pool is full'),

  // The node's own folder, keys and disk
  CONFIG: kind(500, -32603, 3, false, 'Configuration'),
  DATA_FOLDER: kind(500, -32603, 3, false, 'Data folder'),
  DATA_LOCKED: kind(500, -32603, 3, false, 'Data folder in use'),
  DATA_TOO_NEW: kind(500, -32603, 3, false, 'Data folder is newer than this program'),
  PORT_IN_USE: kind(500, -32603, 3, false, 'Port in use'),
  CORRUPT: kind(500, -32603, 11, false, 'Data corruption'),
  GUARD: kind(409, -32015, 10, false, 'Sign guard refuses'),
  STORAGE: kind(500, -32603, 12, false, 'Storage failure'),
  KEY_FILE: kind(500, -32603, 3, false, 'Key file'),
  WRONG_PASSWORD: kind(401, -32011, 6, false, 'Wrong password'),
  BAD_MNEMONIC: kind(400, -32602, 2, false, 'Not a phrase of words'),

  // Peers
  PEER_PROTOCOL: kind(502, -32016, 5, true, 'Peer broke the protocol'),
  PEER_BANNED: kind(403, -32012, 5, true, 'Peer is banned'),
  PEER_QUOTA: kind(429, -32005, 5, true, 'Peer asked too much'),

  // The market
  BAD_JOB: kind(422, -32017, 7, false, 'Not a job that can be done'),
  NO_MODEL: kind(404, -32017, 4, false, 'No such model'),
  NO_MINER: kind(503, -32018, 5, true, 'No miner'),
  PRICE: kind(422, -32017, 7, false, 'Price above the maximum'),
  BUSY: kind(503, -32018, 5, true, 'Busy'),
  STAKE_LOW: kind(422, -32017, 7, false, 'Stake too low'),
  NOT_FUNDED: kind(422, -32017, 7, true, 'Agreement not funded'),
  FENCED: kind(409, -32014, 7, false, 'A later attempt counts'),
  CANCELED: kind(409, -32014, 9, false, 'Canceled'),
  LEASE_LOST: kind(504, -32013, 9, true, 'Miner fell silent'),
  EXECUTOR: kind(502, -32018, 9, true, 'The work failed'),
  JOB_FAILED: kind(502, -32018, 9, false, 'Job failed'),
  BAD_RECEIPT: kind(422, -32003, 11, false, 'Receipt does not verify'),
  WRONG_RESULT: kind(422, -32003, 11, false, 'Result is wrong'),

  // Local clusters
  UNKNOWN_NODE: kind(404, -32001, 4, false, 'No such node'),
  CLUSTER_DOWN: kind(503, -32002, 5, false, 'Cluster not running'),
  USAGE: kind(400, -32602, 2, false, 'Usage'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** Whether a text that others sent is one of the codes. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** Values an error carries for people and programs; never secrets. */
export type ErrorData = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface NodeErrorOptions {
  readonly data?: ErrorData;
  /** What to do next, one sentence or one command. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The only error class thrown by this program. */
export class NodeError extends Error {
  override readonly name = 'NodeError';
  readonly code: ErrorCode;
  readonly data: ErrorData;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: NodeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
    this.hint = options.hint;
  }

  get kind(): ErrorKind {
    return ERRORS[this.code];
  }
}

export function isNodeError(value: unknown): value is NodeError {
  return value instanceof NodeError;
}

/** Wraps whatever was thrown, so that every face can rely on a code. Coded errors pass through unchanged. */
export function toNodeError(value: unknown): NodeError {
  if (isNodeError(value)) return value;
  const message = value instanceof Error ? value.message : String(value);
  return new NodeError('INTERNAL', message, { cause: value });
}

/** Marks a branch that the types prove unreachable. */
export function unreachable(value: never): never {
  throw new NodeError('INTERNAL', `unreachable case: ${JSON.stringify(value)}`);
}
