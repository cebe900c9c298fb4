/** One job of the market, from the miner's offer to the acknowledged receipt: what is signed, encoded and hashed. */
import { toHex } from '../../src/bytes.ts';
import type { Hash } from '../../src/bytes.ts';
import type { Sealing } from '../../protocols/market/sealing.ts';
import { hpke } from '../../protocols/market/sealing.ts';
import { acceptWorkChannel, openWorkChannel } from '../../protocols/market/work-channel.ts';
import { encodeMinerFrame, encodeClientFrame } from '../../protocols/market/work-frames.ts';
import { addressOf } from '../../src/chain/address.ts';
import { createPureSigner, pureCrypto } from '../../src/chain/crypto/pure.ts';
import { assignmentSignBytes, encodeAssignment, signAssignment } from '../../src/chain/market/assignment.ts';
import { encodeContent } from '../../src/chain/market/content.ts';
import { attemptId, encodeJob, jobId, jobSignBytes, signJob } from '../../src/chain/market/job.ts';
import { encodeOffer, offerHash, offerSignBytes, signOffer } from '../../src/chain/market/offer.ts';
import { dueUait } from '../../src/chain/market/price.ts';
import {
  encodeQuote,
  encodeQuoteRequest,
  quoteId,
  quoteRequestHash,
  quoteRequestSignBytes,
  quoteSignBytes,
  signQuote,
  signQuoteRequest,
} from '../../src/chain/market/quote.ts';
import {
  acknowledge,
  acknowledgementSignBytes,
  encodeReceipt,
  receiptId,
  receiptSignBytes,
  signReceipt,
} from '../../src/chain/market/receipt.ts';
import { nextLink, signTick, tickSignBytes } from '../../src/chain/market/tick.ts';
import { agreementId } from '../../src/chain/modules/compute/agreement.ts';
import { openAgreement } from '../../src/chain/modules/compute/agreement-client.ts';
import { signVoucher } from '../../src/chain/modules/compute/voucher.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { signTransaction } from '../../src/chain/tx.ts';

const text = new TextEncoder();
const hashOf = (name: string): Hash => pureCrypto.hash(text.encode(`aitbc/vectors/market/${name}`));
const client = createPureSigner(hashOf('client'));
const session = createPureSigner(hashOf('session'));
const miner = createPureSigner(hashOf('miner'));
const chain: ChainContext = { chainId: 'ait-devnet', genesisHash: hashOf('genesis') };
const clientAddress = addressOf(pureCrypto, client.publicKey);
const minerAddress = addressOf(pureCrypto, miner.publicKey);
const AT_MS = 1_700_000_000_000;
const FIRST = 'Vienna is the capital ';
const PIECES = [FIRST, 'of Austria.'];
const price = { fixedUait: 100, inputUaitPerKib: 2_000, outputUaitPerKib: 40_000 };
const WORK = { kind: 'llm.chat', model: 'aitbc-tiny-1m' };
const digest = hashOf('model');

interface Signed {
  readonly signBytes: Uint8Array;
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
  readonly id: Hash | null;
}

export async function marketVectors() {
  const [minerSeal, clientSeal] = [
    await hpke.deriveSealKeys(hashOf('seal')),
    await hpke.deriveSealKeys(hashOf('seal to')),
  ];
  const content = encodeContent({
    salt: hashOf('salt'),
    params: [{ name: 'max_tokens', value: '64' }],
    parts: [{ role: 'user', mediaType: 'text/plain', data: text.encode('What is the capital of Austria?') }],
  });
  const inputBytes = content.length;
  const output = text.encode(PIECES.join(''));
  const open = signTransaction(pureCrypto, chain, client, {
    type: openAgreement.type,
    nonce: 7,
    feeUait: 10_000,
    validUntilHeight: 120,
    payload: openAgreement.encode({
      signer: session.publicKey,
      miner: minerAddress,
      capUait: 1_000_000,
      expiresAtMs: AT_MS + 3_600_000,
    }),
  });
  const agreement = agreementId(pureCrypto, chain, clientAddress, 7);

  const offer = signOffer(chain, miner, makeOffer());
  const request = signQuoteRequest(chain, client, {
    ...{ ...WORK, client: clientAddress, agreement: null, inputBytes, maxOutputBytes: 4_096 },
    ...{ maxPriceUait: 500_000, atMs: AT_MS },
  });
  const quote = signQuote(chain, miner, {
    ...{ ...WORK, request: quoteRequestHash(pureCrypto, chain, request.request), modelDigest: digest, price },
    ...{
      tickUait: 2_500,
      sealKey: minerSeal.publicKey,
      validUntilMs: AT_MS + 30_000,
      validUntilHeight: 120,
      firstMs: 40,
    },
  });
  const quoteHash = quoteId(pureCrypto, chain, quote.quote);
  const job = signJob(chain, session, {
    ...{ ...WORK, client: clientAddress, nonce: hashOf('nonce'), inputHash: pureCrypto.hash(content), inputBytes },
    ...{ maxOutputBytes: 4_096, maxPriceUait: 500_000, createdAtMs: AT_MS },
    ...{ queueMs: 60_000, executionMs: 120_000, totalMs: 600_000 },
  });
  const id = jobId(pureCrypto, chain, job);
  const attempt = attemptId(pureCrypto, id, 1);
  const assignment = signAssignment(chain, session, {
    ...{ job: id, attempt: 1, agreement, quote: quoteHash, miner: minerAddress, baseUait: 0, maxUait: 500_000 },
    ...{ executionMs: 120_000, sealTo: clientSeal.publicKey, single: true },
  });
  const firstUait = dueUait(price, inputBytes, 0) + quote.quote.tickUait;
  const voucher = signVoucher(chain, session, { agreement, creditUait: firstUait, seen: attempt });

  const links = PIECES.reduce<Hash[]>(
    (made, piece) => [...made, nextLink(pureCrypto, made.at(-1) ?? attempt, text.encode(piece))],
    [],
  );
  const link = links.at(-1) ?? attempt;
  const due = dueUait(price, inputBytes, output.length);
  const count = { chunks: PIECES.length, link, outputBytes: output.length, dueUait: due };
  const tick = signTick(chain, miner, { attempt, ...count });
  const receipt = signReceipt(chain, miner, {
    ...{ ...WORK, ...count, job: id, attempt: 1, agreement, quote: quoteHash, client: clientAddress },
    ...{ signer: session.publicKey, miner: miner.publicKey, modelDigest: digest, price, finish: 'stop' },
    ...{ inputHash: job.spec.inputHash, inputBytes, outputHash: pureCrypto.hash(output) },
    ...{ inputTokens: 12, outputTokens: 9, startedAtMs: AT_MS + 900, endedAtMs: AT_MS + 1_100, open: open.bytes },
  });
  const receiptHash = receiptId(pureCrypto, chain, receipt.receipt);
  const acknowledgement = acknowledge(chain, session, receiptHash);

  const assign = encodeClientFrame({ type: 'assign', job, assignment, voucher, open: open.bytes });
  const input = encodeClientFrame({ type: 'input', attempt, piece: content });
  const output1 = encodeMinerFrame({ type: 'output', attempt, chunk: 1, piece: text.encode(FIRST) });
  const signed: Record<string, Signed> = {
    offer: {
      ...{ signBytes: offerSignBytes(chain, offer.offer), signature: offer.signature, bytes: encodeOffer(offer) },
      id: offerHash(pureCrypto, chain, offer.offer),
    },
    quoteRequest: {
      ...{ signBytes: quoteRequestSignBytes(chain, request.request), signature: request.signature },
      ...{ bytes: encodeQuoteRequest(request), id: quote.quote.request },
    },
    quote: {
      ...{ signBytes: quoteSignBytes(chain, quote.quote), signature: quote.signature, bytes: encodeQuote(quote) },
      id: quoteHash,
    },
    job: { signBytes: jobSignBytes(chain, job.spec), signature: job.signature, bytes: encodeJob(job), id },
    assignment: {
      ...{ signBytes: assignmentSignBytes(chain, assignment.assignment), signature: assignment.signature },
      ...{ bytes: encodeAssignment(assignment), id: null },
    },
    tick: {
      ...{ signBytes: tickSignBytes(chain, tick.tick), signature: tick.signature, id: null },
      bytes: encodeMinerFrame({ type: 'tick', tick }),
    },
    receipt: {
      ...{ signBytes: receiptSignBytes(chain, receipt.receipt), signature: receipt.signature },
      ...{ bytes: encodeReceipt(receipt), id: receiptHash },
    },
    acknowledgement: {
      ...{ signBytes: acknowledgementSignBytes(chain, receiptHash), signature: acknowledgement, id: null },
      bytes: encodeClientFrame({ type: 'acknowledge', attempt, signature: acknowledgement, voucher }),
    },
  };
  return {
    chain: { chainId: chain.chainId, genesisHash: toHex(chain.genesisHash) },
    keys: { client: toHex(client.publicKey), session: toHex(session.publicKey), miner: toHex(miner.publicKey) },
    content: { bytes: toHex(content), hash: toHex(job.spec.inputHash) },
    attempt: { job: toHex(id), number: 1, id: toHex(attempt) },
    pieces: PIECES.map((piece, i) => ({ bytes: toHex(text.encode(piece)), link: toHex(links[i] ?? attempt) })),
    due: { ...price, inputBytes, outputBytes: output.length, dueUait: due },
    open: { bytes: toHex(open.bytes), agreement: toHex(agreement) },
    assign: toHex(assign),
    stream: await streamVectors([assign, input], [encodeMinerFrame({ type: 'accept', attempt }), output1]),
    signed: Object.fromEntries(Object.entries(signed).map(([name, of]) => [name, inHex(of)])),
  };
}

/** What goes over a stream: hellos, and one record of each side, its frames sent in one go. */
async function streamVectors(ofClient: readonly Uint8Array[], ofMiner: readonly Uint8Array[]) {
  const [keys, minerKeys] = [await hpke.deriveSealKeys(hashOf('seal to')), await hpke.deriveSealKeys(hashOf('seal'))];
  const [toMiner, toClient] = [createWay(), createWay()];
  const served = acceptWorkChannel({
    ...{ chain, sealing: fixedSealing('miner'), signer: miner, keysOf: () => minerKeys },
    stream: { send: toClient.send, read: toMiner.read, close: () => undefined },
  });
  const opened = await openWorkChannel({
    ...{ chain, sealing: fixedSealing('client'), keys, minerKey: minerKeys.publicKey },
    ...{ miner: miner.publicKey, verifier: pureCrypto },
    stream: { send: toMiner.send, read: toClient.read, close: () => undefined },
  });
  const sending = Promise.all(ofClient.map((frame) => opened.send(frame)));
  const [reading] = [served.read(), opened.read()];
  await Promise.all([sending, reading, ...ofMiner.map((frame) => served.send(frame))]);
  const [clientHello, clientRecord] = toMiner.sent.map(toHex);
  const [minerHello, minerRecord] = toClient.sent.map(toHex);
  return {
    ...{ clientSecret: toHex(hashOf('seal to')), minerSecret: toHex(hashOf('seal')) },
    ...{ clientHello, minerHello, clientRecord, minerRecord },
    ...{ clientFrames: ofClient.map(toHex), minerFrames: ofMiner.map(toHex) },
  };
}

/** Whose ephemeral keys are no secret: the same each time. */
function fixedSealing(who: string): Sealing {
  return { ...hpke, createSeal: (to) => hpke.createSeal({ ...to, ephemeralSecret: hashOf(`ephemeral ${who}`) }) };
}

function createWay() {
  const sent: Uint8Array[] = [];
  let next = 0;
  let wake = Promise.withResolvers<void>();
  return {
    sent,
    send: async (record: Uint8Array): Promise<void> => {
      sent.push(record);
      wake.resolve();
      await Promise.resolve();
    },
    read: async (): Promise<Uint8Array | null> => {
      while (next >= sent.length) {
        wake = Promise.withResolvers();
        await wake.promise;
      }
      return sent[next++] ?? null;
    },
  };
}

function makeOffer() {
  return {
    ...{ name: 'm1', peer: '12D3KooWExample', addresses: ['/dns4/m1.example.org/tcp/8008'], region: 'eu' },
    ...{ sequence: AT_MS, ttlMs: 300_000, slots: 2, free: 1, gpus: [] },
    models: [
      {
        ...{ ...WORK, digest, contextTokens: 512, streams: true, deterministic: false, warm: true, price },
        ...{ bytesPerSecond: 4_000, tags: ['demo'] },
      },
    ],
  };
}

function inHex({ signBytes, signature, bytes, id }: Signed) {
  return {
    ...{ signBytes: toHex(signBytes), signature: toHex(signature), bytes: toHex(bytes) },
    ...(id && { id: toHex(id) }),
  };
}
