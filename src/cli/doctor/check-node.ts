/** Judging what a node says of itself and its chain. */
import { isErrorCode } from '../../errors.ts';
import { plural, shortHash } from '../output.ts';
import type { ChainFacts, Facts, NamedPeer, Reach } from './facts.ts';
import type { Finding } from './finding.ts';
import { fault, ok, thrown, warning } from './finding.ts';

export function checkGenesis({ home, node, chainId }: Facts): readonly Finding[] {
  const { chain } = node;
  if (home?.genesis) return [thrown('genesis', home.genesis, `give the right one: aitbc init --genesis FILE`)];
  const running = chain?.status.genesis_hash ?? null;
  if (home?.genesisHash && running !== null && home.genesisHash !== running) {
    const what = `the genesis file of ${chainId} is not the one that the node runs: ${shortHash(home.genesisHash)}, not ${shortHash(running)}`;
    return [fault('genesis', 'WRONG_GENESIS', what, 'put the genesis file back that the node was made with')];
  }
  const refused = chain?.peers.refused ?? [];
  const [newest] = refused.slice(-1);
  if (!chain || !newest) {
    const hash = running ?? home?.genesisHash ?? null;
    return hash === null
      ? []
      : [
          ok(
            'genesis',
            `${chainId} has the genesis ${shortHash(hash)}${chain && chain.peers.peers.length > 0 ? ', as all peers' : ''}`,
          ),
        ];
  }
  const what =
    `${plural(refused.length, 'peer')} call another genesis ${chainId}: ${newest.peer_id} at ${newest.address} has ` +
    `${shortHash(newest.their_genesis)}, this node ${shortHash(newest.our_genesis)}`;
  const fix =
    'ask the operators for the hash of the network, and start with its genesis in a new home; aitbc status shows this one';
  // With peers of its own this node is in a network: the strangers are the ones who are wrong, or it is both.
  return chain.peers.peers.length === 0
    ? [fault('genesis', 'WRONG_GENESIS', what, fix)]
    : [warning('genesis', what, 'tell their operators the hash of the network')];
}

export function checkNode({ home, node }: Facts): readonly Finding[] {
  if (!node.fault) return [ok('node', `it answers at ${node.url}`)];
  const { stopped } = home ?? {};
  if (stopped?.isLocked) {
    const what = `a process holds the home, and does not answer at ${node.url}: ${node.fault.message}`;
    return [
      fault(
        'node',
        node.fault.code,
        what,
        'it may still be starting, or listen elsewhere (rpc.listen); its log says more',
      ),
    ];
  }
  const fix = home ? `aitbc start --home ${home.path}` : (node.fault.hint ?? 'start it: aitbc start');
  return [fault('node', node.fault.code, home ? 'the node does not run' : node.fault.message, fix)];
}

export function checkVersion({ version, node }: Facts): readonly Finding[] {
  const running = node.chain?.status.version;
  if (running === undefined) return [];
  if (running === version) return [ok('version', `node and program are ${version}`)];
  const what = `the node is version ${running}, this program ${version}`;
  return [warning('version', what, 'restart the node after an update; else use the program it was started with')];
}

/** Failed ones of every name: they keep the node from being ready. */
export function checkChain({ node, chainId }: Facts): readonly Finding[] {
  if (node.fault) return [];
  const known = node.chains.find(({ chain_id }) => chain_id === chainId);
  if (!known) {
    const what = `the node at ${node.url} has no chain ${chainId}`;
    return [fault('chain', 'UNKNOWN_CHAIN', what, 'aitbc chain list shows those it has; --chain names one')];
  }
  const troubled = node.chains.filter(
    (chain) => chain.error !== null || (chain === known && chain.state !== 'running'),
  );
  return troubled.map(({ chain_id, state, error }) => {
    const start = `aitbc chain start ${chain_id}`;
    if (!error) return fault('chain', 'CHAIN_STOPPED', `the chain ${chain_id} is ${state}`, start);
    const fix = `${error.hint ?? 'the log of the node says more'}; then ${start}`;
    return fault(
      'chain',
      isErrorCode(error.code) ? error.code : 'CHAIN_STOPPED',
      `the chain ${chain_id} failed: ${error.message}`,
      fix,
    );
  });
}

export function checkPeers({ home, node }: Facts): readonly Finding[] {
  const { chain } = node;
  if (!chain) return home ? home.namedPeers.filter(isClosed).map(unreachable) : [];
  const { peers } = chain.peers;
  const connected = new Set(peers.map(({ peer_id }) => peer_id));
  const missing = (home?.namedPeers ?? []).filter(({ peerId }) => !connected.has(peerId));
  const findings = missing.map(unreachable);
  if (peers.length > 0) {
    const relayed = peers.filter(({ path }) => path === 'relay').length;
    const far = Math.max(0, ...peers.map(({ rtt_ms }) => rtt_ms ?? 0));
    return [
      ok(
        'peers',
        `${plural(peers.length, 'peer')}, ${relayed} through a relay; the farthest ${Math.round(far)} ms away`,
      ),
      ...findings,
    ];
  }
  // A host that refuses is reached: what is missing is its node, and so the quorum.
  if (isAlone(chain) || missing.some(({ reach }) => reach === 'refused')) return findings;
  const [first] = missing;
  const what = `no peer is connected${first ? `, and ${first.address} ${REACH_WORDS[first.reach]}` : ''}`;
  const fix = first
    ? REACH_FIXES[first.reach]
    : 'name the other nodes in p2p.peers of config.toml, as /dns4/HOST/tcp/8005/p2p/PEER_ID, and restart';
  return [fault('peers', 'UNREACHABLE', what, fix), ...findings];
}

export function checkQuorum({ node }: Facts): readonly Finding[] {
  const { chain } = node;
  if (!chain) return [];
  const { validators_reachable: reachable, validators_total: total, quorum } = chain.status;
  const heard = `${reachable} of ${plural(total, 'validator')} reachable, ${quorum} needed`;
  const absent = chain.consensus.validators.filter((validator) => !validator.reachable);
  const names = absent
    .map(({ name, public_key }) => name || shortHash(public_key))
    .sort()
    .join(', ');
  if (chain.readiness.checks.some(({ name, ok: holds }) => name === 'quorum' && !holds)) {
    const fix =
      `have ${names || 'the others'} started, or their network mended: aitbc doctor on each says why. ` +
      'If they are connected here and yet not heard, a clock is wrong by more than a minute';
    return [fault('quorum', 'NO_QUORUM', `no quorum: ${heard}; not heard for 10 s: ${names}`, fix)];
  }
  if (absent.length === 0) return [ok('quorum', heard)];
  const spare = reachable - quorum;
  const left = spare > 0 ? `${spare} more may go` : 'none more may go';
  return [warning('quorum', `${heard}: without ${names}, ${left}`, `aitbc doctor on ${names} says why`)];
}

export function checkHead({ node, nowMs }: Facts): readonly Finding[] {
  const { chain } = node;
  if (!chain) return [];
  const { status, readiness, headTimeMs } = chain;
  const age =
    headTimeMs === null ? 'there is no block yet' : `block ${status.height} is ${spanWords(nowMs - headTimeMs)} old`;
  const bad = (name: string) => readiness.checks.find((check) => check.name === name && !check.ok);
  const storage = bad('storage');
  if (storage)
    return [
      fault(
        'head',
        'STORAGE',
        `nothing is written any more: ${storage.detail}`,
        'mend the disk, then restart the node',
      ),
    ];
  const synced = bad('synced');
  if (synced) {
    const fix = 'wait: aitbc status shows how far it is; without progress, peers with the blocks are missing';
    return [fault('head', 'SYNCING', `${synced.detail}; ${age}`, fix)];
  }
  const progress = bad('progress');
  if (progress) {
    const fix = `aitbc watch consensus shows the rounds; ${chain.consensus.reasons.join('; ') || 'the log says why they end without a block'}`;
    return [fault('head', 'TIMEOUT', `transactions wait and no block comes: ${progress.detail}; ${age}`, fix)];
  }
  return [ok('head', `${age}; blocks are made on demand, ${plural(status.pool.txs, 'transaction')} pending`)];
}

export function checkSigning({ home, node }: Facts): readonly Finding[] {
  const guard = home?.stopped?.guard;
  if (guard) return [fault('signing', 'GUARD', 'the node would sign nothing', guard)];
  const { chain } = node;
  if (!chain) return [];
  const { validator, signing, not_signing, state } = chain.status;
  const isValidator = chain.consensus.validators.some(({ public_key }) => public_key === validator);
  if (signing) return [ok('signing', 'the node signs')];
  if (!isValidator) return [ok('signing', 'the node follows the chain: it is not in the validator set')];
  const why = not_signing.join('; ') || 'its log says why';
  if (state === 'starting' || state === 'syncing')
    return [warning('signing', `the node does not sign yet: ${why}`, 'wait until it is synced')];
  return [
    fault(
      'signing',
      'GUARD',
      `the node is a validator and does not sign: ${why}`,
      'do what it says; aitbc status shows it too',
    ),
  ];
}

const REACH_WORDS: Readonly<Record<Reach, string>> = {
  open: 'answers, but is not connected',
  refused: 'refuses connections',
  silent: 'does not answer',
  'unknown-host': 'has a name that cannot be resolved',
  'not-tried': 'is not connected',
};

const REACH_FIXES: Readonly<Record<Reach, string>> = {
  open: 'compare the peer id at the end of the address with aitbc node id there; it may also have banned this node',
  refused: 'start the node there, or mend the port in p2p.peers: nothing listens on it',
  silent: 'open the port in the firewall there, and mend the route or the address in p2p.peers',
  'unknown-host': 'mend the name in p2p.peers, or the DNS of this machine',
  'not-tried': 'aitbc peers shows who is connected',
};

function isClosed({ reach }: NamedPeer): boolean {
  return reach === 'refused' || reach === 'silent' || reach === 'unknown-host';
}

function unreachable({ address, reach }: NamedPeer): Finding {
  return warning('peers', `${address} ${REACH_WORDS[reach]}`, REACH_FIXES[reach]);
}

/** A network of one needs nobody. */
function isAlone({ status, consensus }: ChainFacts): boolean {
  return consensus.validators.length === 1 && consensus.validators[0]?.public_key === status.validator;
}

function spanWords(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s} s`;
  return s < 7_200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3_600)} h`;
}
