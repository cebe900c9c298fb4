import assert from 'node:assert/strict';
import { equalBytes, fromHex, toHex } from '../../../src/bytes.ts';
import { accountKey } from '../../../src/chain/accounts.ts';
import { addressOf, parseAddress } from '../../../src/chain/address.ts';
import { blockId, encodeHeader } from '../../../src/chain/block.ts';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import { stateKey } from '../../../src/chain/state.ts';
import { validatorSetHash } from '../../../src/chain/validator-set.ts';
import { certificateFromVotes, decodeCertificate, encodeCertificate, voteSignBytes } from '../../../src/chain/votes.ts';
import type { ErrorCode, NodeError } from '../../../src/errors.ts';
import { isNodeError, NodeError as Failure } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { buildProposal, buildVote, validatorKeyProof } from '../../../src/sdk/build.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { LightRules } from '../../../src/chain/light.ts';
import { genesisHead, verifyLightBlock } from '../../../src/chain/light.ts';
import { readLightBlock, validatorSetOf } from '../../../src/sdk/light-block.ts';
import type { LightSource } from '../../../src/sdk/light-client.ts';
import { fetchTrustedHead, LightClient, MAX_HEADS, MAX_SOURCES } from '../../../src/sdk/light-client.ts';
import type { LightBlockResponse, StateProofResponse, TransactionProofResponse } from '../../../src/sdk/types.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { addressText, makeTransfer, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';

const GENESIS_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;

const address = (name: string) => addressOf(pureCrypto, signer(name).publicKey);
const is =
  (code: ErrorCode, message = /./) =>
  (error: unknown): boolean =>
    isNodeError(error) && error.code === code && message.test(error.message);

/** Nodes made in a test, and the ends of their servers. */
class Network {
  readonly servers: RpcServer[] = [];

  async node(options: ConstructorParameters<typeof FakeNode>[0] = {}): Promise<FakeNode & { source: LightSource }> {
    const node = new FakeNode({ timeMs: GENESIS_MS, ...options });
    const server = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 } },
      { api: fakeNode(node), log: nopLogger },
    );
    this.servers.push(server);
    return Object.assign(node, { source: createClient({ url: server.url }) });
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

function rules(node: FakeNode, changes: Partial<LightRules> = {}): LightRules {
  return {
    crypto: nativeCrypto,
    chain: node.genesis.chain,
    trustingPeriodMs: 10 * DAY_MS,
    maxClockDriftMs: 1000,
    ...changes,
  };
}

function lightClient(
  node: FakeNode,
  sources: readonly LightSource[],
  options: Partial<ConstructorParameters<typeof LightClient>[0]> = {},
): LightClient {
  const root = genesisHead(nativeCrypto, node.genesis);
  return new LightClient({ rules: rules(node), root, sources, nowMs: () => GENESIS_MS + DAY_MS, ...options });
}

/** Counts the blocks asked for. */
function counting(source: LightSource): LightSource & { blocks: number } {
  const counted = {
    ...source,
    blocks: 0,
    lightBlock: (height: number | 'latest') => {
      counted.blocks++;
      return source.lightBlock(height);
    },
  };
  return counted;
}

const nonces = new WeakMap<FakeNode, Map<string, number>>();
function nonce(node: FakeNode, from: string): number {
  const known = nonces.get(node) ?? new Map<string, number>();
  nonces.set(node, known);
  const next = known.get(from) ?? 0;
  known.set(from, next + 1);
  return next;
}

function transferBlock(node: FakeNode, to = 'account-1'): void {
  node.produce([makeTransfer(node.genesis, { from: 'account-0', to, nonce: nonce(node, 'account-0') })]);
}

/** Operator `index` gives its validator another key, by vote of all; the next two blocks make it take effect. */
function rotateKey(node: FakeNode, index: number, from: string, to: string): void {
  const context = (operator: string) => ({
    hasher: nativeCrypto,
    chain: node.genesis.chain,
    params: node.genesis.params,
    signer: signer(operator),
  });
  const options = (operator: string) => ({ nonce: nonce(node, operator), validUntilHeight: 100_000 });
  const proposer = `operator-${index}`;
  const change = {
    kind: 'rotate',
    publicKey: signer(from).publicKey,
    newKey: signer(to).publicKey,
    proof: validatorKeyProof(node.genesis.chain, signer(to), address(proposer)),
  } as const;
  const proposed = node.produce([buildProposal(context(proposer), options(proposer), change)]);
  assert.equal(proposed.receipts[0]?.code, 0);
  const id = Number(proposals.get(node) ?? 0) + 1;
  proposals.set(node, id);
  const others = node.genesis.sections['validators'] as { authorities: unknown[] };
  const voters = others.authorities.map((_, i) => `operator-${i}`).filter((name) => name !== proposer);
  node.keys.push(signer(to));
  // The last votes may come after the decision, and fail for it.
  node.produce(voters.map((operator) => buildVote(context(operator), options(operator), id)));
  transferBlock(node);
  transferBlock(node);
}
const proposals = new WeakMap<FakeNode, number>();

/** Every validator gets a new key, `rounds` times over. */
function replaceSet(node: FakeNode, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 3; i++) {
      const name = (n: number): string => (n === 0 ? `validator-${i}` : `validator-${i}-${n}`);
      rotateKey(node, i, name(round), name(round + 1));
    }
  }
}

describe('light client', () => {
  const network = new Network();
  let node: Awaited<ReturnType<Network['node']>>;

  before(async () => {
    node = await network.node();
    for (let i = 0; i < 6; i++) transferBlock(node, 'fresh');
  });
  after(() => network.close());

  describe('follows the chain', () => {
    it('from genesis to the head in one step while the set stays', async () => {
      const source = counting(node.source);
      const client = lightClient(node, [source]);
      assert.equal(client.head.height, 0);
      const head = await client.update();
      assert.equal(head.height, 6);
      assert(equalBytes(head.blockId, node.applied[5]?.blockId ?? new Uint8Array()));
      assert.equal(source.blocks, 1);
    });

    it('over changes of all keys, twice over, by bisection', async () => {
      const changing = await network.node();
      replaceSet(changing, 2);
      for (let i = 0; i < 8; i++) transferBlock(changing);
      const source = counting(changing.source);
      const client = lightClient(changing, [source]);
      const head = await client.update();
      assert.equal(head.height, changing.applied.length);
      assert(source.blocks > 1 && source.blocks < changing.applied.length / 2, `${source.blocks} blocks`);
      const { account } = await client.account(address('account-1'));
      assert.equal(account.balanceUait, 1_000_000_000 + 20);
    });

    it('block by block too, and from a trusted height and hash', async () => {
      const changing = await network.node();
      replaceSet(changing, 1);
      const light = rules(changing);
      let trusted = genesisHead(nativeCrypto, changing.genesis);
      for (let height = 1; height <= changing.applied.length; height++) {
        const block = readLightBlock(light, await changing.source.lightBlock(height));
        trusted = verifyLightBlock(light, trusted, block, GENESIS_MS + DAY_MS);
      }
      assert.equal(trusted.height, changing.applied.length);

      const id = changing.applied[6]?.blockId ?? new Uint8Array();
      const root = await fetchTrustedHead(light, changing.source, 7, id);
      const client = lightClient(changing, [changing.source], { root });
      assert.equal((await client.update()).height, changing.applied.length);
      // What lies below is reached by the parents' hashes.
      assert.equal((await client.block(3)).header.height, 3);
      await assert.rejects(
        fetchTrustedHead(light, changing.source, 6, id),
        is('BAD_PROOF', /another hash than the trusted one/),
      );
    });

    it('goes on from what it remembers, and keeps a bounded number of heads', async () => {
      const growing = await network.node();
      const client = lightClient(growing, [growing.source]);
      for (let i = 0; i < MAX_HEADS + 3; i++) {
        transferBlock(growing);
        await client.update();
      }
      assert.equal(client.heads.length, MAX_HEADS);
      const again = lightClient(growing, [growing.source], { remembered: client.heads });
      assert.equal(again.head.height, growing.applied.length);
      await again.update();
      assert.equal((await again.block(1)).header.height, 1);
    });

    it('passes over a node that proves its blocks too slowly', async () => {
      const changing = await network.node();
      replaceSet(changing, 1);
      const client = lightClient(changing, [changing.source], { moveTimeoutMs: 0 });
      await assert.rejects(client.update(), is('TIMEOUT', /takes too long/));
    });

    it('takes a bounded number of nodes', () => {
      const sources = Array.from({ length: MAX_SOURCES + 1 }, () => node.source);
      assert.throws(() => lightClient(node, sources), is('INVALID_PARAMS'));
      assert.throws(() => lightClient(node, []), is('INVALID_PARAMS'));
    });
  });

  describe('does not go', () => {
    it('on from a block older than the trusting period, but back and to the same block', async () => {
      const root = await fetchTrustedHead(rules(node), node.source, 4, node.applied[3]?.blockId ?? new Uint8Array());
      const old = { root, nowMs: () => GENESIS_MS + 11 * DAY_MS };
      await assert.rejects(lightClient(node, [node.source], old).update(), is('OUT_OF_TRUST', /10 days old/));
      const still = {
        ...node.source,
        lightBlock: (h: number | 'latest') => node.source.lightBlock(h === 'latest' ? 4 : h),
      };
      const client = lightClient(node, [still], old);
      assert.equal((await client.update()).height, 4);
      assert.equal((await client.block(2)).header.height, 2);
      const forever = { ...old, rules: rules(node, { trustingPeriodMs: null }) };
      assert.equal((await lightClient(node, [node.source], forever).update()).height, 6);
    });

    it('to a block from the future', async () => {
      const early = { nowMs: () => GENESIS_MS - 2000 };
      await assert.rejects(lightClient(node, [node.source], early).update(), is('BAD_PROOF', /from the future/));
    });

    it('further back than it may go hash by hash', async () => {
      const long = await network.node();
      for (let i = 0; i < 260; i++) transferBlock(long);
      const root = await fetchTrustedHead(
        rules(long),
        long.source,
        260,
        long.applied[259]?.blockId ?? new Uint8Array(),
      );
      const client = lightClient(long, [long.source], { root });
      await assert.rejects(client.block(1), is('OUT_OF_TRUST', /too far below/));
      assert.equal((await client.block(250)).header.height, 250);
    });

    it('to a set that too few of the trusted validators signed for', async () => {
      const strangers = ['stranger-0', 'stranger-1', 'stranger-2'];
      const alone = lying(node.source, { latest: forgedHead(node, strangers) });
      await assert.rejects(lightClient(node, [alone]).update(), is('BAD_PROOF'));
      // A third of the trusted power is not more than a third.
      const one = lying(node.source, { latest: forgedHead(node, ['validator-0', ...strangers.slice(1)]) });
      await assert.rejects(lightClient(node, [one]).update(), is('BAD_PROOF'));
      // Two of three could do anything: the block is certified, and so it is a fork.
      const two = lying(node.source, { latest: forgedHead(node, ['validator-0', 'validator-1', 'stranger-2']) });
      await assert.rejects(lightClient(node, [two, node.source]).update(), is('FORK'));
    });

    it('over a node that answers other heights than those asked for', async () => {
      const endless = await network.node();
      replaceSet(endless, 1);
      for (let i = 0; i < 3; i++) transferBlock(endless);
      const far = { ...(await endless.source.lightBlock('latest')) };
      const source = lying(endless.source, { latest: far, at: () => far });
      await assert.rejects(lightClient(endless, [source]).update(), is('BAD_PROOF', /another height/));
    });
  });

  describe('with several nodes', () => {
    it('finds the one honest, and names the others', async () => {
      const silent: LightSource = {
        ...node.source,
        url: 'http://silent',
        lightBlock: () => Promise.reject(unreachable()),
      };
      const liar = { ...lying(node.source, { latest: (r) => ({ ...r, hash: '00', height: 99 }) }), url: 'http://liar' };
      const insolent = {
        ...node.source,
        url: 'http://insolent',
        lightBlock: () => Promise.reject(new Failure('FORK', 'believe me')),
      };
      const client = lightClient(node, [liar, silent, insolent, node.source]);
      const { account } = await client.account(address('fresh'));
      assert.equal(account.balanceUait, 6);
      const faults = Object.fromEntries(client.faults.map(({ url, error }) => [url, error.code]));
      assert.deepEqual(faults, {
        'http://liar': 'BAD_PROOF',
        'http://silent': 'UNREACHABLE',
        'http://insolent': 'UNREACHABLE',
      });
      assert.match(client.faults.find(({ url }) => url === 'http://liar')?.error.message ?? '', /http:\/\/liar/);
    });

    it('takes the highest head, and no answer from a node behind it', async () => {
      const behind = await network.node();
      behind.produce([makeTransfer(behind.genesis, { from: 'account-0', to: 'fresh', nonce: 0 })]);
      const client = lightClient(node, [behind.source, node.source]);
      const { account, block } = await client.account(address('fresh'));
      assert.equal(account.balanceUait, 6);
      assert.equal(block.header.height, 6);
      const late = lightClient(node, [behind.source], { remembered: client.heads });
      await assert.rejects(late.account(address('fresh')), is('SYNCING', /block 6 is final/));
    });

    it('reports a fork with both blocks, whichever it sees first', async () => {
      const other = await network.node();
      for (let i = 0; i < 6; i++) transferBlock(other, 'account-2');
      for (const sources of [
        [node.source, other.source],
        [other.source, node.source],
      ]) {
        await assert.rejects(lightClient(node, sources).account(address('fresh')), (error: NodeError) => {
          assert(is('FORK')(error), error.message);
          for (const name of ['first', 'second']) {
            assert.match(String(error.data[`${name}_header`]), /^[0-9a-f]{600,}$/);
            decodeCertificate(fromHex(String(error.data[`${name}_certificate`])));
          }
          assert.notEqual(error.data['first_hash'], error.data['second_hash']);
          return true;
        });
      }
      // One of them is behind: compared at the height that both have.
      transferBlock(other);
      await assert.rejects(lightClient(node, [node.source, other.source]).update(), is('FORK', /height 6/));
      // Seen against what was verified before.
      const before = lightClient(node, [node.source]);
      await before.update();
      const behind = lying(other.source, { latest: await other.source.lightBlock(6) });
      const later = lightClient(node, [behind], { remembered: before.heads });
      await assert.rejects(later.update(), is('FORK', /verified before/));
    });

    it('does not take a forged block for a fork', async () => {
      const forger = await network.node();
      forger.keys.splice(2, 1);
      for (let i = 0; i < 6; i++) transferBlock(forger, 'account-2');
      const bare = lying(forger.source, { latest: (r) => ({ ...r, certificate: withoutQuorum(r.certificate) }) });
      const client = lightClient(node, [{ ...bare, url: 'http://forger' }, node.source]);
      assert.equal((await client.update()).height, 6);
      assert.deepEqual(
        client.faults.map(({ url }) => url),
        ['http://forger'],
      );
    });
  });

  describe('proves', () => {
    it('accounts and their absence', async () => {
      const client = lightClient(node, [node.source]);
      assert.deepEqual((await client.account(address('fresh'))).account, { balanceUait: 6, nonce: 0 });
      assert.deepEqual((await client.account(address('nobody'))).account, { balanceUait: 0, nonce: 0 });
    });

    it('any key of any module, and its absence', async () => {
      const client = lightClient(node, [node.source]);
      const { value } = await client.stateValue(accountKey(parseAddress(addressText('fresh'))));
      assert.equal(value?.length, 16);
      assert((await client.stateValue(stateKey(2, Uint8Array.of(1)))).value);
      assert.equal((await client.stateValue(stateKey(9, new Uint8Array(63)))).value, null);
    });

    it('what is computed from the state, by the keys it takes, up to a number of them', async () => {
      const client = lightClient(node, [node.source]);
      const { result, block } = await client.read((state, height) => [getSets(state).current.totalPower, height]);
      assert.deepEqual(result, [3, 6]);
      assert.equal(block.header.height, 6);
      const fault = new Failure('CORRUPT', 'of the query');
      const failing = client.read((state) => {
        state.get(stateKey(2, Uint8Array.of(1)));
        throw fault;
      });
      await assert.rejects(failing, (error) => error === fault);
      let key = 0;
      const endless = client.read((state) => state.get(stateKey(9, Uint8Array.of(key >> 8, key++ & 255))));
      await assert.rejects(endless, is('TOO_LARGE'));
    });

    it('transactions and receipts, wherever they stand in a block', async () => {
      const busy = await network.node();
      for (const count of [1, 2, 5, 8]) {
        const txs = Array.from({ length: count }, () =>
          makeTransfer(busy.genesis, { from: 'account-0', to: 'account-1', nonce: nonce(busy, 'account-0') }),
        );
        busy.produce(txs);
        const client = lightClient(busy, [busy.source]);
        for (const [index, { id }] of txs.entries()) {
          const found = await client.transaction(id);
          assert('receipt' in found);
          assert.equal(found.index, index);
          assert.equal(found.receipt.code, 0);
        }
      }
    });

    it('no absence of a transaction', async () => {
      const found = await lightClient(node, [node.source]).transaction(new Uint8Array(32));
      assert('unproven' in found);
      assert.equal(found.unproven.status, 'unknown');
    });
  });

  describe('refuses every kind of lie about', () => {
    const other = <T extends string>(text: T): string => text.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));

    it('blocks', async () => {
      const good = await node.source.lightBlock('latest');
      const old = await node.source.lightBlock(5);
      const [first, ...rest] = good.validators.validators;
      assert(first);
      const lies: [string, unknown][] = [
        ['nothing', null],
        ['no object', 7],
        ['no header', { ...good, header: undefined }],
        ['header', { ...good, header: good.header.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')) }],
        ['height', { ...good, height: 7 }],
        ['certificate of another block', { ...good, certificate: old.certificate }],
        ['no quorum', { ...good, certificate: withoutQuorum(good.certificate) }],
        ['signature', { ...good, certificate: badSignature(good.certificate) }],
        ['prevotes', { ...good, certificate: prevotes(good.certificate) }],
        ['power', { ...good, validators: { ...good.validators, validators: [{ ...first, power: 9 }, ...rest] } }],
        ['a validator less', { ...good, validators: { total_power: 2, validators: rest } }],
        ['no validators', { ...good, validators: { total_power: 0, validators: [] } }],
        ['endless validators', { ...good, validators: { validators: Array.from({ length: 129 }, () => first) } }],
        ['next validators', { ...good, next_validators: { total_power: 2, validators: rest } }],
      ];
      for (const [lie, latest] of lies) {
        const client = lightClient(node, [lying(node.source, { latest: () => latest as LightBlockResponse })]);
        await assert.rejects(client.update(), (error: NodeError) => {
          assert(['BAD_PROOF', 'BAD_CERTIFICATE'].includes(error.code), `${lie}: ${error.code} ${error.message}`);
          assert.match(error.message, /127\.0\.0\.1/);
          return true;
        });
      }
    });

    it('another chain and a newer version', async () => {
      const foreign = await network.node({ chainId: 'ait-testnet' });
      transferBlock(foreign);
      await assert.rejects(lightClient(node, [foreign.source]).update(), is('BAD_PROOF', /another chain/));
      const twin = await network.node({ timeMs: GENESIS_MS + 1 });
      transferBlock(twin);
      await assert.rejects(lightClient(node, [twin.source]).update(), isNodeError);
    });

    it('accounts', async () => {
      const change = (proof: Partial<StateProofResponse>, told: object = {}): LightSource => ({
        ...node.source,
        account: async (who, options) => {
          const good = await node.source.account(who, options);
          assert(good.proof);
          return { ...good, ...told, proof: { ...good.proof, ...proof } };
        },
      });
      const another = (await node.source.account(addressText('account-1'), { proof: true })).proof;
      const lies: [string, LightSource][] = [
        ['balance', change({}, { balance_uait: '7' })],
        ['nonce', change({}, { nonce: 7 })],
        ['address', change({}, { address: addressText('account-1') })],
        ['value', change({ value: another?.value ?? null })],
        ['absence', change({ value: null }, { balance_uait: '0' })],
        ['proof', change({ state_proof: another?.state_proof ?? '' })],
        ['header', change({ header: '00' })],
        ['no height', change({ height: -1 })],
        ['text as height', change({ height: '6' as unknown as number })],
        ['no proof', { ...node.source, account: (who) => node.source.account(who) }],
        ['nothing', { ...node.source, account: () => Promise.resolve(null as never) }],
      ];
      for (const [lie, source] of lies) {
        const client = lightClient(node, [source]);
        await assert.rejects(client.account(address('fresh')), is('BAD_PROOF'), lie);
        // One honest node is enough.
        const both = lightClient(node, [source, { ...node.source, url: 'http://honest' }]);
        assert.equal((await both.account(address('fresh'))).account.balanceUait, 6, lie);
      }
    });

    it('state values', async () => {
      const key = accountKey(parseAddress(addressText('fresh')));
      const source: LightSource = {
        ...node.source,
        stateValue: async (text) => {
          const good = await node.source.stateValue(text);
          return { ...good, proof: { ...good.proof, value: other(good.proof.value ?? '') } };
        },
      };
      await assert.rejects(lightClient(node, [source]).stateValue(key), is('BAD_PROOF', /does not hold this value/));
    });

    it('transactions and receipts', async () => {
      const [tx] = node.applied[3]?.block.txs ?? [];
      const [wrong] = node.applied[4]?.block.txs ?? [];
      assert(tx && wrong);
      const change = (proof: Partial<TransactionProofResponse>): LightSource => ({
        ...node.source,
        transaction: async (hash, options) => {
          const good = await node.source.transaction(hash, options);
          assert(good.proof);
          return { ...good, proof: { ...good.proof, ...proof } };
        },
      });
      const theirs = (await node.source.transaction(toHex(wrong.id), { proof: true })).proof;
      assert(theirs);
      const lies: [string, LightSource][] = [
        ['another transaction', change({ transaction: theirs.transaction })],
        ['another receipt', change({ receipt: theirs.receipt })],
        ['another block', change({ height: 5, header: theirs.header })],
        ['place', change({ index: 1 })],
        ['count', change({ count: 2 })],
        ['siblings', change({ transaction_siblings: ['00'.repeat(32)] })],
        ['endless siblings', change({ receipt_siblings: Array.from({ length: 32 }, () => '00'.repeat(32)) })],
        ['no proof', { ...node.source, transaction: (hash) => node.source.transaction(hash) }],
      ];
      for (const [lie, source] of lies) {
        await assert.rejects(lightClient(node, [source]).transaction(tx.id), is('BAD_PROOF'), lie);
      }
    });
  });
});

function lying(
  source: LightSource,
  lies: {
    readonly latest?: LightBlockResponse | ((good: LightBlockResponse) => LightBlockResponse);
    readonly at?: (height: number) => LightBlockResponse;
  },
): LightSource {
  return {
    ...source,
    lightBlock: async (height) => {
      if (height !== 'latest') return lies.at?.(height) ?? source.lightBlock(height);
      const good = await source.lightBlock('latest');
      return typeof lies.latest === 'function' ? lies.latest(good) : (lies.latest ?? good);
    },
  };
}

function unreachable(): Failure {
  return new Failure('UNREACHABLE', 'nobody answers');
}

/** A head whose header names strangers as validators, and which they all signed. */
function forgedHead(node: FakeNode, names: readonly string[]): LightBlockResponse {
  const block = node.applied.at(-1)?.block;
  assert(block);
  const validators = {
    total_power: names.length,
    validators: names.map((name, i) => ({
      public_key: toHex(signer(name).publicKey),
      name,
      power: 1,
      operator: addressText(`operator-${i}`),
    })),
  };
  const set = validatorSetOf(validators);
  const hash = validatorSetHash(nativeCrypto, set);
  const header = { ...block.header, validatorsHash: hash, nextValidatorsHash: hash };
  const vote = { type: 'precommit', height: header.height, round: 0, blockId: blockId(nativeCrypto, header) } as const;
  const votes = names.map((name) => {
    const { publicKey, sign } = signer(name);
    return { ...vote, validator: publicKey, signature: sign(voteSignBytes(node.genesis.chain, vote)) };
  });
  return {
    chain_id: header.chainId,
    height: header.height,
    hash: toHex(vote.blockId),
    header: toHex(encodeHeader(header)),
    certificate: toHex(encodeCertificate(certificateFromVotes(set, votes))),
    validators,
    next_validators: null,
  };
}

type Certificate = ReturnType<typeof decodeCertificate>;

function changed(hex: string, change: (certificate: Certificate) => Partial<Certificate>): string {
  const certificate = decodeCertificate(fromHex(hex));
  return toHex(encodeCertificate({ ...certificate, ...change(certificate) }));
}

const withoutQuorum = (hex: string): string =>
  changed(hex, ({ signers, signatures }) => ({ signers: signers.slice(0, 1), signatures: signatures.slice(0, 1) }));

const badSignature = (hex: string): string =>
  changed(hex, ({ signatures }) => ({ signatures: signatures.map((signature) => signature.slice().reverse()) }));

const prevotes = (hex: string): string => changed(hex, () => ({ type: 'prevote' }));
