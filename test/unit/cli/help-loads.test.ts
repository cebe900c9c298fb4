/**
 * Help is there at once because little is loaded for it: what verbs do is loaded when they do it. Counted, not timed;
 * `npm run bench -- help` times it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = new URL('../../../src/cli/program.ts', import.meta.url).href;
const SCRIPT = fileURLToPath(new URL('loaded-modules.ts', import.meta.url));

/** Packages that the grammar and its tables need, with those that come with them. */
const LIGHT = new Set(['commander', 'cli-table3', 'string-width', 'strip-ansi', 'ansi-regex']);
for (const name of ['is-fullwidth-code-point', 'emoji-regex', 'smol-toml', '@noble/hashes', 'uint8arrays']) {
  LIGHT.add(name);
}

interface Loaded {
  readonly packages: readonly string[];
  readonly sources: readonly string[];
  readonly builtins: readonly string[];
}

function loadedBy(...args: readonly string[]): Loaded {
  const { stdout, stderr, status } = spawnSync(process.execPath, [SCRIPT, PROGRAM, ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1));
}

describe('aitbc --help', () => {
  it('loads no command', () => {
    const { sources, packages } = loadedBy('--help');
    assert.deepEqual(
      packages.filter((name) => !LIGHT.has(name)),
      [],
    );
    assert(sources.length < 10, sources.join(' '));
  });

  it('of any command loads no library but those of the grammar: not libp2p, LevelDB, fastify, nor cryptography', () => {
    // Completion reads the tree of all commands, so it loads what the help of every one of them does.
    const { sources, packages, builtins } = loadedBy('completion', 'bash');
    assert.deepEqual(
      packages.filter((name) => !LIGHT.has(name)),
      [],
    );
    const heavy = sources.filter((path) =>
      /^src\/(chain\/modules|native|store|net|rpc|engine|compute|node)/.test(path),
    );
    assert.deepEqual(heavy, []);
    // It reads every getter of its module, and one of them loads fetch.
    assert(!builtins.includes('node:http'));
    assert(sources.length < 80, `${sources.length}: ${sources.join(' ')}`);
  });
});
