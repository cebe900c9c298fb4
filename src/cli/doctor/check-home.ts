/** Judging the folder of a node and the disk below it. */
import type { DiskFacts, ExposedFile, Facts, HomeFacts, StoppedFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { fault, ok, thrown, warning } from './finding.ts';

/** A block waits for two or three of them. */
const SLOW_SYNC_MS = 100;

export function checkHome({ home }: Facts): readonly Finding[] {
  if (!home) return [];
  return [
    ok('config', `the configuration of ${home.path} is in order`),
    ...(home.disk ? checkDisk(home.path, home.disk) : []),
    ...checkKeys(home),
    ...(home.stopped ? [...checkData(home.stopped), ...checkPorts(home.stopped)] : []),
  ];
}

function checkDisk(path: string, { freeBytes, minFreeBytes, syncMs, write }: DiskFacts): Finding[] {
  if (write) return [thrown('disk', write, `see to it that the user of the node can write to ${path}`)];
  const free = `${gigabytes(freeBytes)} GB free`;
  if (freeBytes < minFreeBytes) {
    const what = `the disk of ${path} is nearly full: ${free}, at least ${gigabytes(minFreeBytes)} GB are wanted`;
    return [
      fault('disk', 'STORAGE', what, 'free some space or move the home; store.retain_blocks keeps only newer blocks'),
    ];
  }
  const synced = `${free}, a synced write takes ${(syncMs ?? 0).toFixed(1)} ms`;
  if ((syncMs ?? 0) <= SLOW_SYNC_MS) return [ok('disk', synced)];
  return [
    warning('disk', `the disk is slow: ${synced}`, 'use a local disk without other heavy writers: blocks wait for it'),
  ];
}

function checkKeys({ keys, exposed }: HomeFacts): Finding[] {
  const findings = keys.map((problem) =>
    thrown('keys', problem, 'restore it from a backup: aitbc backup restore FILE'),
  );
  findings.push(...exposed.map(exposedFile));
  return findings.length > 0 ? findings : [ok('keys', 'the keys are there and only their owner reads them')];
}

function exposedFile({ path, mode, isWallet }: ExposedFile): Finding {
  const what = `others may read ${path} (mode ${mode.toString(8)})`;
  const fix = `chmod 600 ${path}; make a new key if someone may have read this one`;
  return isWallet ? warning('keys', what, fix) : fault('keys', 'KEY_FILE', what, fix);
}

function checkData({ data, isLocked, isForeign, head }: StoppedFacts): Finding[] {
  if (isForeign) {
    const what = 'the home belongs to another user, so its database is not opened';
    return [warning('data', what, 'run aitbc doctor as the user of the node')];
  }
  if (data) {
    const check = data.code === 'WRONG_GENESIS' ? 'genesis' : 'data';
    return [thrown(check, data, 'aitbc chain verify examines the blocks of a stopped node')];
  }
  if (isLocked) return [];
  return [ok('data', head ? `the database opens at height ${head.height}` : 'no block is stored yet')];
}

function checkPorts({ takenPorts }: StoppedFacts): Finding[] {
  return takenPorts.map(({ option, port }) =>
    fault(
      'ports',
      'PORT_IN_USE',
      `another program listens on port ${port}`,
      `stop it, or choose another port in ${option}`,
    ),
  );
}

function gigabytes(bytes: number): string {
  const value = bytes / 1e9;
  return value.toFixed(value < 10 ? 1 : 0);
}
