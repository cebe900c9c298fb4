import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { MAX_EVIDENCE } from '../../../src/chain/evidence.ts';
import { MAX_BLOCK_TXS } from '../../../src/chain/block.ts';
import { MAX_CHAIN_ID_BYTES } from '../../../src/chain/signing.ts';
import { CHUNK_BYTES, MAX_CHUNKS, MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../../src/chain/state-chunks.ts';
import { MAX_AHEAD_MS, MAX_OFFERS, MIN_OFFER_MS } from '../../../src/compute/offers.ts';
import { MAX_SERVED } from '../../../src/net/request-server.ts';
import {
  ANSWER_BYTES,
  MAX_BATCH_TXS,
  MAX_BLOCKS,
  MAX_PEER_ID_BYTES,
  MAX_TX_IDS,
  MAX_VOTES,
  MAX_VOTES_PROPOSALS,
} from '../../../protocols/codec.ts';
import { MAX_ERROR_TEXT_BYTES } from '../../../protocols/frames.ts';
import { HELLO_PROTOCOL, MAX_AGENT_BYTES, MAX_CHAINS } from '../../../protocols/hello.ts';
import type { Method, Topic } from '../../../protocols/messages.ts';
import { BAN_MS, BAN_SCORE, PEER_ACTIONS, SCORE_CAP, SCORE_HALF_LIFE_MS } from '../../../protocols/peer-actions.ts';
import { MAX_NEIGHBOURS, NEIGHBOURS_PROTOCOL } from '../../../protocols/neighbours.ts';
import { MAX_RECORD_BYTES, MAX_RECORDS, RECORDS_PROTOCOL } from '../../../protocols/records.ts';
import type { QuotaRule } from '../../../protocols/quotas.ts';
import {
  ADDRESSES_QUOTA,
  ANSWER_QUOTA,
  HELLO_QUOTA,
  HELLO_TIMEOUT_MS,
  METHODS,
  NEIGHBOURS_QUOTA,
  NEIGHBOURS_TIMEOUT_MS,
  RECORDS_QUOTA,
  RECORDS_TIMEOUT_MS,
  REFUSAL_QUOTA,
  TOPICS,
  WORK,
} from '../../../protocols/registry.ts';
import { protocolId, topicName, workProtocolId } from '../../../protocols/topics.ts';
import { GOSSIP_VERDICTS } from '../../../protocols/verdicts.ts';

const text = readFileSync(new URL('../../../protocols/README.md', import.meta.url), 'utf8');
const flat = text.replaceAll(/\s+/g, ' ');

/** Cells of the table below a heading, without its two head lines. */
function table(heading: string): string[][] {
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

const number = (value: number): string => value.toLocaleString('en-US');
const quota = (rule: QuotaRule): string => `${number(rule.capacity)} ${rule.unit}, ${number(rule.refillPerSecond)}`;
const rate = (rule: QuotaRule, unit = `${rule.unit} `): string =>
  `${number(rule.capacity)} ${unit}at once, then ${number(rule.refillPerSecond)} a second`;

function says(...phrases: string[]): void {
  for (const phrase of phrases) assert.ok(flat.includes(phrase), `README.md does not say: ${phrase}`);
}

describe('protocols/README.md', () => {
  it('lists every topic with its figures', () => {
    const rows = table('Gossip topics').map(([name, , ...rest]) => [name, ...rest]);
    const want = Object.values(TOPICS).map((rule) => [
      rule.name,
      number(rule.maxBytes),
      number(rule.maxInFlight),
      quota(rule.quota),
      rule.quota.reason,
    ]);
    assert.deepEqual(rows, want);
  });

  it('lists every method with its figures', () => {
    const rows = table('Request methods').map(([name, , , ...rest]) => [name, ...rest]);
    const want = Object.values(METHODS).map((rule) => [
      rule.name,
      `${number(rule.maxRequestBytes)}, ${number(rule.maxResponseBytes)}`,
      `${number(rule.timeoutMs)} ms`,
      number(rule.maxInFlight),
      quota(rule.quota),
      rule.quota.reason,
    ]);
    assert.deepEqual(rows, want);
    says(rate(ANSWER_QUOTA), ANSWER_QUOTA.reason, rate(REFUSAL_QUOTA), rate(HELLO_QUOTA, ''));
    says(`a host serves ${MAX_SERVED} requests at once`);
  });

  it('gives the bounds of work streams and of offers', () => {
    assert.deepEqual(
      table('Work streams').map(([what, bound]) => [what, bound]),
      [
        ['streams', `${number(WORK.maxStreams)}, each direction`],
        ['bytes that wait in all streams', number(WORK.maxHeldBytes)],
        ['new streams by peer', quota(WORK.quota)],
      ],
    );
    says(
      WORK.quota.reason,
      `at most ${number(WORK.maxRecordBytes)} bytes`,
      `nothing for ${number(WORK.pingMs)} ms pings`,
      `nothing for ${number(WORK.leaseMs)} ms, though`,
      `not taken for ${number(WORK.stallMs)} ms`,
      `reads ${number(WORK.readAheadBytes)} bytes ahead`,
      `at least ${number(MIN_OFFER_MS)} ms later`,
      `more than ${number(MAX_AHEAD_MS)} ms ahead`,
      `beyond ${number(MAX_OFFERS)} miners`,
    );
  });

  it('lists every verdict and every action', () => {
    assert.deepEqual(table('Verdicts on gossip'), Object.entries(GOSSIP_VERDICTS));
    const points = Object.entries(PEER_ACTIONS).map(([name, value]) => [name, String(value).replace('-', '−')]);
    assert.deepEqual(table('Scores'), points);
    says(`never exceed ${SCORE_CAP}`, `At −${-BAN_SCORE} a peer is banned for ${BAN_MS / 60_000} minutes`);
    says(`by half every ${SCORE_HALF_LIFE_MS / 60_000} minutes`);
  });

  it('gives the names on the wire', () => {
    const names = Object.fromEntries(table('Names').map(([what, name]) => [what, name ?? '']));
    const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(0xab) };
    const filled = (pattern: string | undefined, last: string): string | undefined =>
      pattern
        ?.replace('<chainId>', chain.chainId)
        .replace('<genesis8>', 'abababab')
        .replace(/<topic>|<method>/, last);
    assert.equal(names['handshake'], HELLO_PROTOCOL);
    for (const topic of Object.keys(TOPICS) as Topic[]) {
      assert.equal(topicName(chain, topic), filled(names['gossip topic'], topic));
    }
    for (const method of Object.keys(METHODS) as Method[]) {
      assert.equal(protocolId(chain, method), filled(names['request protocol'], method));
    }
    assert.equal(workProtocolId(chain), filled(names['work stream'], ''));
    says(`1 to ${MAX_CHAIN_ID_BYTES} characters`);
  });

  it('gives the caps of the messages', () => {
    says(
      `\`list16 bytes32 transaction\`, 1 to ${number(MAX_BATCH_TXS)}.`,
      `evidence \`list16\`, at most ${MAX_EVIDENCE}`,
      `transaction ids \`list32 hash\`, at most ${number(MAX_BLOCK_TXS)}`,
      `\`list16 vote\`, 1 to ${MAX_VOTES}`,
      `peer id \`ascii8\` (at most ${MAX_PEER_ID_BYTES})`,
      `count \`u16\` 1 to ${MAX_BLOCKS}`,
      `\`list16 hash\`, 1 to ${number(MAX_TX_IDS)}`,
      `\`list16 vote\`, at most ${MAX_VOTES}, then \`list16\` proposal message, at most ${MAX_VOTES_PROPOSALS}`,
      `agent \`ascii8\` (at most ${MAX_AGENT_BYTES})`,
      `count (at most ${MAX_CHAINS}) of`,
      `(UTF-8, at most ${MAX_ERROR_TEXT_BYTES})`,
      `At most ${number(MAX_CHUNKS)} subtrees`,
      `keys up to ${number(MAX_KEY_BYTES)} bytes, values up to ${number(MAX_VALUE_BYTES)}`,
      `would exceed ${number(CHUNK_BYTES)} bytes`,
      `beyond ${ANSWER_BYTES / 2 ** 20} MiB`,
      `without a handshake ${HELLO_TIMEOUT_MS / 1_000} s`,
    );
  });

  it('says how peer records are asked for, and how often addresses may be told', () => {
    says(
      `stream of \`${RECORDS_PROTOCOL}\``,
      `\`u8\` count (at most ${MAX_RECORDS}) of peer ids \`ascii8\` (at most ${MAX_PEER_ID_BYTES})`,
      `\`bytes16\` (at most ${number(MAX_RECORD_BYTES)})`,
      `${rate(RECORDS_QUOTA)}; ${number(RECORDS_TIMEOUT_MS)} ms`,
      `each peer ${rate(ADDRESSES_QUOTA)}`,
    );
  });

  it('says how peers tell whom they hear', () => {
    says(
      `stream of \`${NEIGHBOURS_PROTOCOL}\``,
      `\`u8\` count (at most ${MAX_NEIGHBOURS}) of peer ids \`ascii8\` (at most ${MAX_PEER_ID_BYTES})`,
      `${rate(NEIGHBOURS_QUOTA)}; ${number(NEIGHBOURS_TIMEOUT_MS)} ms`,
    );
  });
});
