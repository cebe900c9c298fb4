/** What live connections may cost the node. Each bound has a test of its name in test/unit/rpc. */

/** Open WebSockets and event streams together, over all clients. */
export const MAX_CONNECTIONS = 100;
/** Of them for one client that is not of this machine. */
export const MAX_CLIENT_CONNECTIONS = 10;
/** On one connection. */
export const MAX_SUBSCRIPTIONS = 20;
/** One message of a client; a longer one ends the connection with 1009. */
export const MAX_MESSAGE_BYTES = 16 * 1024;
/** Messages of a client: so many at once, then at this pace. What is beyond is refused. */
export const MESSAGE_BURST = 40;
export const MESSAGES_PER_S = 10;
/** Refused for their pace, one after another: then the connection ends. */
export const MAX_REFUSED = 200;
/** Messages written and not yet taken by the network: one more for who is up to date ends the connection. */
export const MAX_QUEUED_MESSAGES = 256;
/** Characters written and not yet taken: beyond, blocks wait in the store. One message may go over. */
export const MAX_QUEUED_CHARS = 4 * 1024 * 1024;
/** Characters written and not yet taken over all connections: beyond, who holds most of them is cut. */
export const MAX_ALL_QUEUED_CHARS = 64 * 1024 * 1024;
/** Of final blocks sent again: so many messages are under way at once. */
export const REPLAY_AHEAD = 16;
/** Something waits and nothing was taken for so long: the connection ends. */
export const STALL_MS = 30_000;
/** A subscription that far behind the head is served from the store, and does not count as slow for it. */
export const REPLAY_LAG_BLOCKS = 64;
/** Pending transactions that one message names, and likewise those dropped; of those beyond it tells the number. */
export const MAX_PENDING_TOLD = 100;
/** Changes of them are told at once, and after that so often. */
export const PENDING_EVERY_MS = 100;
/** Jobs in the first message of `jobs`. */
export const MAX_JOBS_TOLD = 100;
/** Jobs that changed between two turns of the event loop; of more than these the oldest are passed over. */
export const MAX_JOB_CHANGES = 1024;
/** How far above the head a subscription may begin: it then waits for the chain. */
export const MAX_AHEAD_BLOCKS = 10_000;
/** Blocks looked at in one turn of the event loop, over all subscriptions. */
export const TURN_BLOCKS = 64;
/** Of them for one subscription. */
export const SHARE_BLOCKS = 8;
/** A turn looks at no further block after so long: others wait for the event loop. */
export const TURN_MS = 5;

export const PING_EVERY_MS = 30_000;
export const PONG_WITHIN_MS = 10_000;
/** A comment on an event stream. */
export const COMMENT_EVERY_MS = 15_000;
/** From the close frame until the connection is cut. */
export const CLOSE_GRACE_MS = 2000;
