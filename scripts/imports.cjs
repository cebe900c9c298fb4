// The import rules of src/README.md, checked by `npm run check:imports`: imports run downward only, without cycles,
// and each outside library has one folder that knows it.
//
// Strictly downward: two parts on one level do not know each other either; what they share lies below them, as an
// interface declared by the one that uses it.

/** From the bottom up. A part may import every part on a lower level, itself, and nothing else of ours. */
const levels = [
  { base: '^src/(errors|log|log-level|metrics|clock|bytes|version)\\.ts$' },
  { chain: '^src/chain/' },
  { consensus: '^src/consensus/', mempool: '^src/mempool(\\.ts$|/)' },
  { protocols: '^protocols/(?!market/)' },
  { native: '^src/native/', store: '^src/store/', net: '^src/net/' },
  { config: '^src/config(\\.ts$|/)' },
  { engine: '^src/engine(\\.ts$|/)', sync: '^src/sync(\\.ts$|/)', compute: '^src/compute/(?!coordinator/|blobs/)' },
  { chains: '^src/chains(\\.ts$|/)', rpc: '^src/rpc/' },
  { node: '^src/node(\\.ts$|/)' },
  { cli: '^src/cli/' },
  { testnet: '^testnet/' },
  { scripts: '^scripts/' },
];

/** Browser code beside the levels: what each may import, and which parts may import it. */
const browserParts = {
  wallet: {
    path: '^src/wallet/',
    mayImport: ['base', 'chain'],
    importers: ['compute', 'chains', 'rpc', 'node', 'cli', 'testnet', 'scripts', 'explorer'],
  },
  // The market's frames and the client's side of it: a client that is no peer runs them where its key is.
  marketWire: {
    path: '^protocols/market/',
    mayImport: ['base', 'chain'],
    // native: its ciphers for sealing.
    importers: [
      'protocols',
      'native',
      'net',
      'compute',
      'coordinator',
      'chains',
      'rpc',
      'node',
      'sdk',
      'cli',
      'testnet',
      'scripts',
    ],
  },
  // Inputs too large to travel with a job, on either side.
  blobs: {
    path: '^src/compute/blobs/',
    mayImport: ['base', 'chain'],
    // store: the files of a shelf.
    importers: ['store', 'compute', 'coordinator', 'chains', 'rpc', 'node', 'sdk', 'cli', 'testnet', 'scripts'],
  },
  coordinator: {
    path: '^src/compute/coordinator/',
    mayImport: ['base', 'chain', 'marketWire', 'blobs'],
    importers: ['compute', 'chains', 'rpc', 'node', 'sdk', 'cli', 'testnet', 'scripts', 'explorer'],
  },
  sdk: {
    path: '^src/sdk/',
    mayImport: ['base', 'chain', 'marketWire', 'blobs', 'coordinator'],
    // rpc: login texts, of which the SDK has both sides.
    importers: ['rpc', 'cli', 'testnet', 'scripts', 'explorer'],
  },
  explorer: {
    path: '^src/explorer/',
    mayImport: ['base', 'chain', 'wallet', 'sdk'],
    importers: [],
  },
};

/** Libraries with one owner. Tests may use any of them: to check against, or to play a misbehaving peer. */
const owned = [
  ['libp2p', '(libp2p|@libp2p/[^/]+|@chainsafe/libp2p-[^/]+|@multiformats/[^/]+)', '^src/net/'],
  ['level', '(level|classic-level|abstract-level)', '^src/store/'],
  ['fastify', '(fastify|@fastify/[^/]+)', '^src/rpc/'],
  ['noble', '@noble/[^/]+', '^(src/chain/crypto/|src/bytes\\.ts$|scripts/vectors/)'],
  ['native-crypto', '(sodium-native|@chainsafe/hashtree[^/]*)', '^src/native/'],
];

const partPaths = Object.assign({}, ...levels);
for (const [name, part] of Object.entries(browserParts)) partPaths[name] = part.path;

const anyOf = (patterns) => patterns.join('|');
const test = '^test/';

function partRule(name, forbidden) {
  return {
    name: `${name}-imports-downward`,
    comment: `${name} may not import ${forbidden.join(', ')}`,
    severity: 'error',
    from: { path: partPaths[name] },
    to: { path: anyOf(forbidden.map((other) => partPaths[other])) },
  };
}

const levelRules = levels.flatMap((level, height) =>
  Object.keys(level).map((name) => {
    const below = levels.slice(0, height).flatMap((lower) => Object.keys(lower));
    const browser = Object.keys(browserParts).filter((part) => browserParts[part].importers.includes(name));
    const allowed = new Set([name, ...below, ...browser]);
    const forbidden = Object.keys(partPaths).filter((other) => !allowed.has(other));
    return forbidden.length === 0 ? [] : [partRule(name, forbidden)];
  }),
);

const browserRules = Object.entries(browserParts).map(([name, { mayImport }]) =>
  partRule(
    name,
    Object.keys(partPaths).filter((other) => other !== name && !mayImport.includes(other)),
  ),
);

const ownedRules = owned.map(([name, packages, owner]) => ({
  name: `${name}-has-one-owner`,
  severity: 'error',
  from: { path: '^(src|protocols|testnet|scripts|bin)/', pathNot: owner },
  to: { path: `(^|/)node_modules/${packages}/` },
}));

module.exports = {
  forbidden: [
    ...levelRules.flat(),
    ...browserRules,
    ...ownedRules,
    {
      name: 'no-cycle',
      comment: 'Type-only cycles count too: they hide a concept that belongs to neither file.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'pure-and-browser-parts-use-no-node-module',
      severity: 'error',
      from: {
        path: anyOf(
          ['chain', 'consensus', 'marketWire', 'coordinator', 'wallet', 'sdk', 'explorer'].map(
            (name) => partPaths[name],
          ),
        ),
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'only-tests-import-tests',
      severity: 'error',
      from: { pathNot: test },
      to: { path: test },
    },
    {
      name: 'every-source-has-a-level',
      comment: 'A new folder or root file of src/ must be placed in the table of scripts/imports.cjs.',
      severity: 'error',
      from: { path: '^src/', pathNot: anyOf(Object.values(partPaths)) },
      to: {},
    },
    {
      name: 'no-import-of-a-source-without-level',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: anyOf(Object.values(partPaths)) },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-development-dependency',
      severity: 'error',
      from: { path: '^(src|protocols|bin)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'declared-dependency',
      comment: 'Only a package named in package.json: one that another package brings may leave with it.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|\\.testnet)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.cjs', '.json'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
