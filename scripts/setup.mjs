// Installs the locked dependencies when they are missing or out of date; silent and quick when they are not.
// Runs before `npm test` and the other commands that need them, so it may use nothing but an old system Node:
// no dependency, no TypeScript. Among what it installs is the Node release that runs everything else.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE_MAJOR = 24;

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.aitbc-lock');
const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

if (!isCurrent()) install();
requireNode();

function isCurrent() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8').trim() === lockHash;
}

function install() {
  process.stderr.write('aitbc: installing the locked dependencies (npm ci)\n');
  // Without node_modules/.bin in PATH: npm must not run on the Node that it is about to delete.
  const ownBin = join(modules, '.bin');
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => entry !== ownBin)
    .join(delimiter);
  // No package here needs its install script: the native ones carry their binaries.
  const args = [
    'ci',
    '--include=dev',
    '--include=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const result = spawnSync('npm', args, {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) {
    process.stderr.write(`aitbc: npm ci failed${result.error ? `: ${result.error.message}` : ''}\n`);
    process.exit(result.status ?? 1);
  }
  writeFileSync(stampFile, `${lockHash}\n`);
}

function requireNode() {
  if (existsSync(join(modules, '.bin', 'node'))) return;
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE_MAJOR) return;
  process.stderr.write(
    `aitbc: needs Node ${OLDEST_NODE_MAJOR} or later; this is ${process.version}, and no bundled Node exists for ` +
      `${process.platform} ${process.arch}. Install one from nodejs.org or with your version manager.\n`,
  );
  process.exit(1);
}
