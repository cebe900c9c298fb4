/**
 * The market for a client that is no peer: the coordinator where its key is, over a node that it need not trust. The node
 * relays sealed frames and tells what the chain proves; it sees neither content nor keys, and pays nothing.
 */
import { pureCrypto, createPureSigner } from '../chain/crypto/pure.ts';
import type { ContentPart } from '../chain/market/content.ts';
import type { SignedOffer } from '../chain/market/offer.ts';
import type { BatchVerifier, Crypto, Signer } from '../chain/crypto/types.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { BlobShelf } from '../compute/blobs/shelf.ts';
import { memoryShelf } from '../compute/blobs/shelf.ts';
import { sealLargeParts } from '../compute/blobs/split.ts';
import type { Coordinator, JobRequest, JobView } from '../compute/coordinator/coordinator.ts';
import { createCoordinator } from '../compute/coordinator/create-coordinator.ts';
import type { ReplayOptions } from '../compute/coordinator/replays.ts';
import type { Miners, Rows } from '../compute/coordinator/ports.ts';
import type { Logger } from '../log.ts';
import { nopRegister } from '../metrics.ts';
import type { Sealing } from '../../protocols/market/sealing.ts';
import { createRelayBlobs } from './blobs.ts';
import type { SigningContext } from './build.ts';
import type { Client } from './client.ts';
import type { LightClient } from './light-client.ts';
import { createClientMoney } from './market-money.ts';
import type { MarketReads } from './market-reads.ts';
import { createMarketReads } from './market-reads.ts';

export interface MarketOptions {
  readonly client: Client;
  /** What the chain proves is taken from it alone; null believes the node. */
  readonly light: LightClient | null;
  /** Chain, fees, and the account that pays as signer. */
  readonly signing: SigningContext;
  readonly miners: Miners;
  /** What jobs go on from; of this market alone. */
  readonly rows: Rows;
  /** Where large inputs stay, sealed, until their jobs have ended; in memory when absent. */
  readonly shelf?: BlobShelf;
  /** Plain JavaScript when absent. */
  readonly crypto?: Crypto;
  readonly verifier?: BatchVerifier;
  /** Of session keys. */
  readonly createSigner?: (seed: Uint8Array) => Signer;
  /** HPKE by WebCrypto when absent. */
  readonly sealing?: Sealing;
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Keeps others who spend from the account out: see `createTurns`. */
  readonly exclusive?: () => Promise<() => void>;
  /** Does a part of the work again: see the coordinator's `replay.ts`. */
  readonly replay?: ReplayOptions;
}

export interface Market {
  readonly jobs: Coordinator;
  /** As `jobs.submit`, of parts of any size: the largest become blobs. @throws NodeError also TOO_LARGE | STORAGE */
  submit(request: InlineRequest): Promise<JobView>;
  readonly reads: MarketReads;
  /** Of which jobs find their miners; a name that nobody offers is better refused than waited for: `checkOffered`. */
  offers(): readonly SignedOffer[];
  /** Jobs go on when the rows are opened again. */
  close(): Promise<void>;
}

/** With all that it is about, whatever its size. */
export interface InlineRequest extends JobRequest {
  readonly parts: readonly ContentPart[];
}

/** Takes up the jobs of the rows. @throws NodeError CORRUPT | STORAGE | what node or chain say */
export async function createMarket(options: MarketOptions): Promise<Market> {
  const { client, light, signing, miners, rows, exclusive, verifier, sealing, replay } = options;
  const reads = createMarketReads(client, light);
  const money = createClientMoney({ client, reads, signing, ...(exclusive && { exclusive }) });
  const { clock = systemClock, crypto: hasher = pureCrypto } = options;
  const blobs = createRelayBlobs(client, options.shelf ?? memoryShelf(hasher, clock));
  const openJobs = (): Promise<Coordinator> =>
    createCoordinator({
      chain: signing.chain,
      crypto: hasher,
      blobs,
      createSigner: options.createSigner ?? createPureSigner,
      miners,
      money,
      rows,
      clock,
      random,
      log: options.log ?? SILENT,
      metrics: nopRegister,
      ...(verifier && { verifier }),
      ...(sealing && { sealing }),
      ...(replay && { replay }),
    });
  const jobs = await openJobs().catch((error: unknown) => {
    blobs.close();
    throw error;
  });
  return {
    jobs,
    submit: async (request) => {
      const { params, owner } = request;
      const parts = await sealLargeParts(params, request.parts, { shelf: blobs.shelf, hasher, random, owner });
      return jobs.submit({ ...request, parts });
    },
    reads,
    offers: () => miners.offers(),
    close: async () => {
      money.close();
      await jobs.close();
      blobs.close();
    },
  };
}

function random(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

/** That of ../log.ts would bring its writer into pages. */
const SILENT: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => SILENT,
};
