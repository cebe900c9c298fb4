/** What relayed work streams may cost the node. Each bound has a test of its name in test/unit/rpc. */
import { MAX_WORK_RECORD_BYTES } from '../../protocols/market/work-channel.ts';
import { LEASE_MS } from '../../protocols/market/work-frames.ts';

/** Open ones, over all clients. */
export const MAX_RELAYS = 1_024;
/** Of them for one client that is not of this machine. */
export const MAX_CLIENT_RELAYS = 64;
export const MAX_RELAYED_BYTES = MAX_WORK_RECORD_BYTES;
/** Frames of a client: so many at once, then at this pace; what comes faster waits in its network. */
export const FRAME_BURST = 512;
export const FRAMES_PER_S = 256;
/** From the upgrade until the miner has taken the stream. */
export const OPEN_WITHIN_MS = 12_000;
/** A client that sends nothing for so long, not even the ping of a work stream, has gone. */
export const SILENT_MS = LEASE_MS;
/** A client that takes nothing for so long while something waits. */
export const STALL_MS = 30_000;
/** From the close frame until the connection is cut. */
export const CLOSE_GRACE_MS = 2_000;
