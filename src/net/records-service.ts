/** Tells who asks where connected peers can be found, by the records that these signed themselves. */
import type { Connection, PeerStore, Stream } from '@libp2p/interface';
import {
  decodeRecordsAnswer,
  decodeRecordsRequest,
  encodeRecordsAnswer,
  encodeRecordsRequest,
  MAX_RECORD_BYTES,
  MAX_RECORDS_ANSWER_BYTES,
  MAX_RECORDS_REQUEST_BYTES,
  RECORDS_PROTOCOL,
} from '../../protocols/records.ts';
import type { PeerId } from '../../protocols/network.ts';
import { RECORDS_QUOTA, RECORDS_TIMEOUT_MS } from '../../protocols/registry.ts';
import type { Clock } from '../clock.ts';
import { isNodeError } from '../errors.ts';
import { peerIdOf } from './addresses.ts';
import { deadline } from './deadline.ts';
import { framedStream } from './framed-stream.ts';
import type { PeerQuotas } from './peer-quotas.ts';
import type { PeerBook } from './peers.ts';

export interface RecordsOptions {
  readonly peerStore: () => PeerStore;
  readonly isConnected: (peer: PeerId) => boolean;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
}

export class RecordsService {
  readonly #options: RecordsOptions;

  constructor(options: RecordsOptions) {
    this.#options = options;
  }

  /** Handler of RECORDS_PROTOCOL. Never throws. */
  async serve(stream: Stream, connection: Connection): Promise<void> {
    const { quotas, clock, book } = this.#options;
    const peer = connection.remotePeer.toString();
    const framed = framedStream(stream, MAX_RECORDS_REQUEST_BYTES);
    const limit = deadline(clock, RECORDS_TIMEOUT_MS);
    try {
      if (!quotas.take(peer, 'records', RECORDS_QUOTA, 1)) {
        framed.abort('too many requests');
        return;
      }
      const bytes = await framed.read(limit.signal);
      if (bytes === null) return;
      const records: Uint8Array[] = [];
      for (const asked of decodeRecordsRequest(bytes)) {
        const record = await this.#recordOf(asked);
        if (record) records.push(record);
      }
      await framed.write(encodeRecordsAnswer(records), limit.signal);
      framed.close();
    } catch (error) {
      if (isNodeError(error) && (error.code === 'CODEC' || error.code === 'PEER_PROTOCOL')) {
        book.report(peer, 'protocol-error', 'records');
      }
      framed.abort('request for records failed');
    } finally {
      limit.clear();
    }
  }

  /** Takes what the asked one has of a peer: only what that peer signed, and nothing older than known. Never throws. */
  async learn(connection: Connection, peer: PeerId): Promise<void> {
    const id = peerIdOf(peer);
    if (!id) return;
    const limit = deadline(this.#options.clock, RECORDS_TIMEOUT_MS);
    try {
      const stream = await connection.newStream(RECORDS_PROTOCOL, { signal: limit.signal });
      const framed = framedStream(stream, MAX_RECORDS_ANSWER_BYTES);
      try {
        await framed.write(encodeRecordsRequest([peer]), limit.signal);
        const bytes = await framed.read(limit.signal);
        const [record] = bytes === null ? [] : decodeRecordsAnswer(bytes);
        if (record) await this.#options.peerStore().consumePeerRecord(record, { expectedPeer: id });
        framed.close();
      } catch {
        // Who signs for another, or does not answer, has nothing to tell.
        framed.abort('request for records failed');
      }
    } catch {
      // No stream: as good as no answer.
    } finally {
      limit.clear();
    }
  }

  async #recordOf(peer: PeerId): Promise<Uint8Array | null> {
    const id = peerIdOf(peer);
    if (!id || !this.#options.isConnected(peer)) return null;
    try {
      const { peerRecordEnvelope = null } = await this.#options.peerStore().get(id);
      return peerRecordEnvelope && peerRecordEnvelope.length <= MAX_RECORD_BYTES ? peerRecordEnvelope : null;
    } catch {
      return null;
    }
  }
}
