/** The state tree: roots, proofs, updates, claims that must not verify, bytes that are no proof. */
import { fromHex, toHex, utf8, ZERO_HASH } from '../../src/bytes.ts';
import { pureHasher } from '../../src/chain/crypto/pure.ts';
import type { StateProof } from '../../src/chain/tree-proof.ts';
import { encodeStateProof, stateProofToJson } from '../../src/chain/tree-proof.ts';
import type { TreeVersion } from '../../src/chain/tree.ts';
import { StateTree } from '../../src/chain/tree.ts';

interface Entry {
  readonly key?: string;
  readonly path: string;
  readonly value: string;
}

const sha256 = (bytes: Uint8Array): Uint8Array => pureHasher.hash(bytes);
const hex = (text: string): string => toHex(utf8(text));
const leafOf = ({ path, value }: Entry) => ({ path: fromHex(path, 32), valueHash: sha256(fromHex(value)) });
const load = (entries: readonly Entry[]): StateTree => StateTree.load(pureHasher, entries.map(leafOf));

/** An entry of module `module`, with the key it comes from. */
function keyed(module: number, key: string, value: string): Entry & { key: string } {
  const bytes = Uint8Array.of(module, ...utf8(key));
  return { key: toHex(bytes), path: toHex(sha256(bytes)), value: hex(value) };
}

/** `path` with bit `depth` flipped, for pairs that share exactly `depth` bits. */
function flip(path: string, depth: number): string {
  const bytes = fromHex(path);
  bytes[depth >>> 3] = (bytes[depth >>> 3] ?? 0) ^ (0x80 >>> (depth & 7));
  return toHex(bytes);
}

function proofOf(tree: StateTree, path: string, value: string | null) {
  const proof = tree.prove(tree.head, fromHex(path));
  return { path, value, proof: toHex(encodeStateProof(proof)), json: stateProofToJson(proof) };
}

function treeCase(name: string, entries: readonly Entry[], absent: readonly string[]) {
  const tree = load(entries);
  const proofs = [
    ...entries.slice(0, 4).map(({ path, value }) => proofOf(tree, path, value)),
    ...absent.map((path) => proofOf(tree, path, null)),
  ];
  return { name, entries, root: toHex(tree.head.root), proofs };
}

const ALICE = keyed(1, 'alice', '100');
const BOB = keyed(1, 'bob', '');
const spread = Array.from({ length: 33 }, (_, i) => keyed(i % 3, `key ${i}`, `value ${i}`));
const ground = [
  ALICE,
  ...[1, 16, 17, 250, 255].map((depth) => ({ path: flip(ALICE.path, depth), value: hex(`${depth}`) })),
];

function treeCases() {
  return [
    treeCase('no leaf', [], [ALICE.path]),
    treeCase('one leaf is the root, at whatever path', [ALICE], [BOB.path, flip(ALICE.path, 0), flip(ALICE.path, 255)]),
    treeCase('an empty value is a value', [BOB], [ALICE.path]),
    treeCase('two leaves that part at bit 0', [ALICE, { path: flip(ALICE.path, 0), value: '00' }], [BOB.path]),
    treeCase(
      'two leaves that part at bit 9: an inner node on every level above',
      [ALICE, { path: flip(ALICE.path, 9), value: '00' }],
      [flip(ALICE.path, 0), flip(ALICE.path, 8), flip(ALICE.path, 10)],
    ),
    treeCase(
      'two leaves that part at bit 255',
      [ALICE, { path: flip(ALICE.path, 255), value: '00' }],
      [flip(ALICE.path, 254), flip(ALICE.path, 128), flip(ALICE.path, 0)],
    ),
    treeCase('spread keys of three modules', spread, [keyed(0, 'absent', '').path, keyed(9, 'absent', '').path]),
    treeCase('shared prefixes', ground, [flip(ALICE.path, 5), flip(ALICE.path, 251), flip(flip(ALICE.path, 16), 200)]),
  ];
}

/** Roots after each batch of changes; a null value deletes. */
function updates() {
  const tree = load([]);
  const batches: { path: string; value: string | null }[][] = [
    spread.slice(0, 10),
    [{ ...ALICE, value: hex('1') }, BOB],
    [
      { path: flip(ALICE.path, 200), value: '01' },
      { path: ALICE.path, value: hex('2') },
      { path: BOB.path, value: null },
    ],
    [
      { path: ALICE.path, value: null },
      { path: BOB.path, value: null },
    ],
    spread.slice(0, 10).map(({ path }) => ({ path, value: null })),
    [{ path: flip(ALICE.path, 200), value: null }],
  ];
  return batches.map((batch) => {
    const changes = batch.map(({ path, value }) => ({
      path: fromHex(path),
      valueHash: value === null ? null : sha256(fromHex(value)),
    }));
    const version: TreeVersion = tree.fork(tree.head, changes);
    tree.commit(version);
    return { changes: batch.map(({ path, value }) => ({ path, value })), root: toHex(version.root) };
  });
}

/** Claims that decode and do not verify. */
function falseClaims() {
  const tree = load(spread);
  const root = toHex(tree.head.root);
  const one = spread[0] ?? ALICE;
  const two = spread[1] ?? BOB;
  const proof = tree.prove(tree.head, fromHex(one.path));
  const other = tree.prove(tree.head, fromHex(two.path));
  const claim = (name: string, path: string, value: string | null, shown: StateProof, at = root) => ({
    name,
    root: at,
    path,
    value,
    proof: toHex(encodeStateProof(shown)),
  });
  const tag = sha256(utf8('AIT/leaf/1'));
  const forged = { path: Uint8Array.of(1, ...sha256(utf8('forged')).subarray(1)), valueHash: sha256(utf8('forged')) };
  const planted = load([
    { path: toHex(sha256(new Uint8Array([...forged.path, ...forged.valueHash]))), value: hex('AIT/leaf/1') },
  ]);
  const filled = proof.siblings.findIndex((sibling) => sibling !== ZERO_HASH);
  return [
    claim('another value', one.path, two.value, proof),
    claim('absence of a path that holds a value', one.path, null, proof),
    claim('absence by a leaf that does not share the way', one.path, null, other),
    claim('absence by the leaf of another way', one.path, null, { ...proof, leaf: other.leaf }),
    claim('absence by an empty end', one.path, null, { ...proof, leaf: null }),
    claim('absence by an inner node in the place of a leaf', one.path, null, {
      siblings: [],
      leaf: { path: fromHex(one.path), valueHash: proof.siblings[0] ?? ZERO_HASH },
    }),
    claim('another root', one.path, one.value, proof, toHex(sha256(tree.head.root))),
    claim('a sibling changed', one.path, one.value, { ...proof, siblings: proof.siblings.with(filled, tag) }),
    claim('a level left out', one.path, one.value, { ...proof, siblings: proof.siblings.toSpliced(0, 1) }),
    claim(
      'a leaf read as an inner node: no sibling may be SHA-256("AIT/leaf/1"), though the hashes agree',
      toHex(forged.path),
      hex('forged'),
      { siblings: [tag], leaf: forged },
      toHex(planted.head.root),
    ),
  ];
}

/** Bytes that are no proof. */
function badEncodings() {
  const s = '11'.repeat(32);
  return [
    { name: 'spare bit of the bitmap set', reason: 'non-canonical', bytes: `000330${s}00` },
    { name: 'last sibling empty', reason: 'non-canonical', bytes: `000340${s}00` },
    { name: 'empty sibling marked as filled', reason: 'non-canonical', bytes: `0003a0${'00'.repeat(32)}${s}00` },
    { name: 'presence byte 2', reason: 'non-canonical', bytes: `000320${s}02` },
    { name: 'depth 257', reason: 'over-cap', bytes: `0101${'ff'.repeat(33)}${s.repeat(257)}00` },
    { name: 'leaf missing', reason: 'truncated', bytes: `000320${s}01` },
    { name: 'sibling missing', reason: 'truncated', bytes: `0003a0${s}` },
    { name: 'no bytes', reason: 'truncated', bytes: '' },
    { name: 'a byte too many', reason: 'trailing', bytes: `000320${s}0000` },
  ];
}

export function stateTreeVectors() {
  return {
    leafTag: toHex(sha256(utf8('AIT/leaf/1'))),
    trees: treeCases(),
    updates: updates(),
    falseClaims: falseClaims(),
    badEncodings: badEncodings(),
  };
}
