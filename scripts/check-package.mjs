/**
 * `npm run check:package`: packs the package, installs it into an empty folder as anyone would, and runs what was installed.
 * Asks the registry for what the package needs, so it is no part of `npm run check`.
 */
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Binaries for graphics cards alone would have more. */
const MAX_MIB = 450;

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'aitbc-package-'));
try {
  const npm = (cwd, ...args) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  const [packed] = JSON.parse(npm(root, 'pack', '--json', '--silent', '--pack-destination', folder));
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', `./${packed.filename}`);
  const version = npm(folder, 'exec', '--offline', '--no', 'aitbc', '--', '--version').trim();
  const mib = bytesIn(join(folder, 'node_modules')) / 2 ** 20;
  const report = { version, packed_mib: round(packed.size / 2 ** 20), installed_mib: round(mib) };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (version !== packed.version || mib > MAX_MIB) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function bytesIn(path) {
  const entry = lstatSync(path);
  if (!entry.isDirectory()) return entry.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
