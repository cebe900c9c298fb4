#!/usr/bin/env -S node --max-semi-space-size=4 --initial-old-space-size=256
// Room for young objects: collecting 4 MiB holds a node up for 14 ms under load, the 16 that V8 would take for 35, at the same cost.
// And for old ones before they are first collected: a node that catches up collected them at every step of its growth.
// The launcher: plain JavaScript that any Node can read. On Node 24 or later it runs the program in this process;
// on an older one it starts the Node that was installed with the package and stands in for it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE_MAJOR = 24;
/** As in the first line. */
const V8_FLAGS = ['--max-semi-space-size=4', '--initial-old-space-size=256'];

const self = fileURLToPath(import.meta.url);

if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE_MAJOR) await runHere();
else runOn(findNode());

async function runHere() {
  // Compiled sources are kept beside the program, where only its owner writes; where that fails, it starts without.
  module.enableCompileCache?.(join(dirname(self), '..', 'node_modules', '.cache', 'aitbc'));
  // A clone holds the sources; a package holds what they compile to (Node strips no types under node_modules).
  const source = new URL('../src/cli/main.ts', import.meta.url);
  const built = new URL('../dist/src/cli/main.js', import.meta.url);
  await import(existsSync(source) ? source.href : built.href);
}

function findNode() {
  const beside = join(dirname(self), '..', 'node_modules', '.bin', 'node');
  if (existsSync(beside)) return beside;
  try {
    const manifest = createRequire(self).resolve(`node-${process.platform}-${process.arch}/package.json`);
    const node = join(dirname(manifest), 'bin', 'node');
    if (existsSync(node)) return node;
  } catch {
    // Not installed for this platform: said below.
  }
  process.stderr.write(
    `aitbc: needs Node ${OLDEST_NODE_MAJOR} or later; this is ${process.version}, and none was found beside the ` +
      `program. In a clone run \`npm ci\`; else install Node ${OLDEST_NODE_MAJOR} and try again.\n`,
  );
  process.exit(1);
}

function runOn(node) {
  const child = spawn(node, [...V8_FLAGS, self, ...process.argv.slice(2)], { stdio: 'inherit' });
  const forward = (signal) => {
    // Ctrl-C in a terminal reaches the child by itself; forwarded as well it would count as pressed twice.
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  child.on('error', (error) => {
    process.stderr.write(`aitbc: cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of signals) process.removeListener(name, forward);
    process.kill(process.pid, signal);
  });
}
