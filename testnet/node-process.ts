/** One node as a process: start, find again, describe how it ended. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeError } from '../src/errors.ts';
import { CHILD_ENV } from './child-env.ts';
import type { NodeLayout } from './layout.ts';
import { CHILD_PRELOAD, COMPILE_CACHE, nodeLayout, NODE_PROGRAM } from './layout.ts';
import { boundLog } from './log-file.ts';
import { replaceFile } from './manifest.ts';
import type { ProcessId } from './processes.ts';
import { isAlive, processId, signalProcess } from './processes.ts';

/** A validator or a miner. */
export interface NodeHome {
  readonly home: string;
  /** Network namespace that it runs in; that of this process when absent. */
  readonly netns?: string | undefined;
}

/** What tests ask of a process: see child.ts. */
export interface ChildOrders {
  /** Path that the files of its kill orders begin with. */
  readonly killPoints?: string;
  readonly clockAheadMs?: number;
  /** Where a profile of it is to lie. */
  readonly profile?: string;
}

/** From the request to stop until SIGKILL. */
export const STOP_MS = 10_000;
const POLL_MS = 20;

/** As in the launcher's first line, bin/aitbc.mjs. */
const V8_FLAGS = ['--max-semi-space-size=4', '--initial-old-space-size=256'];

/**
 * Starts the node's program where a Ctrl-C at the terminal does not reach it: in the session of a launcher that has its own,
 * else in a new one.
 *
 * @param launcher the process with whose end the node ends; undefined leaves it running
 */
export function startNode(
  node: NodeHome,
  chainId: string,
  launcher: ProcessId | undefined,
  orders: ChildOrders = {},
): ChildProcess {
  const layout = nodeLayout(node.home, chainId);
  rmSync(layout.exit, { force: true });
  boundLog(layout.log);
  const log = openSync(layout.log, 'a', 0o600);
  try {
    // `ip netns exec` becomes the program: the process id is the node's.
    const [program, ...inside] = node.netns
      ? ['ip', 'netns', 'exec', node.netns, process.execPath]
      : [process.execPath];
    const child = spawn(
      program,
      [...inside, ...V8_FLAGS, '--import', CHILD_PRELOAD, NODE_PROGRAM, 'start', '--home', node.home],
      {
        detached: process.env[CHILD_ENV.ownSession] === undefined,
        stdio: ['ignore', log, log],
        env: { ...childEnvironment(layout, launcher), ...orderEnvironment(orders) },
      },
    );
    const id = child.pid === undefined ? undefined : processId(child.pid);
    replaceFile(layout.process, JSON.stringify(id ?? { pid: child.pid ?? 0, started: '' }));
    child.on('error', () => undefined);
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** The settings of whoever starts the cluster must not reach into its nodes. */
function childEnvironment(layout: NodeLayout, launcher: ProcessId | undefined): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(AITBC|TESTNET)_/.test(name));
  return {
    ...Object.fromEntries(inherited),
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    [CHILD_ENV.log]: layout.log,
    [CHILD_ENV.exit]: layout.exit,
    ...(launcher && { [CHILD_ENV.launcher]: `${launcher.pid} ${launcher.started}` }),
  };
}

export function orderEnvironment({ killPoints, clockAheadMs = 0, profile }: ChildOrders): NodeJS.ProcessEnv {
  return {
    ...(profile !== undefined && { [CHILD_ENV.profile]: profile }),
    ...(killPoints !== undefined && { [CHILD_ENV.killPoints]: killPoints }),
    ...(clockAheadMs > 0 && { [CHILD_ENV.clockAheadMs]: String(clockAheadMs) }),
  };
}

/** The node's process, if it runs. */
export function runningProcess(node: NodeHome, chainId: string): ProcessId | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(nodeLayout(node.home, chainId).process, 'utf8')) as ProcessId;
    const id = { pid, started };
    return isAlive(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves when the process is gone; a parent's `exit` event may come later. */
export async function waitGone(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(id)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

export async function killNode(id: ProcessId): Promise<void> {
  signalProcess(id, 'SIGKILL');
  if (await waitGone(id, STOP_MS)) return;
  throw new NodeError('INTERNAL', `process ${id.pid} does not end`, { data: { pid: id.pid } });
}

/** Asks to stop and waits; after `STOP_MS` it is killed. */
export async function stopNode(id: ProcessId): Promise<void> {
  signalProcess(id, 'SIGTERM');
  signalProcess(id, 'SIGCONT');
  if (!(await waitGone(id, STOP_MS))) await killNode(id);
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

/** How the process ended: as its parent saw it, else as it left it itself. */
export function exitStatus(node: NodeHome, chainId: string, child: ChildProcess | undefined): ExitStatus {
  if (child && (child.exitCode !== null || child.signalCode !== null)) {
    return { code: child.exitCode, signal: child.signalCode };
  }
  try {
    const { code } = JSON.parse(readFileSync(nodeLayout(node.home, chainId).exit, 'utf8')) as { code: number };
    return { code, signal: null };
  } catch {
    return { code: null, signal: null };
  }
}

export function describeExit({ code, signal }: ExitStatus): string {
  if (code !== null) return `exit code ${code}`;
  return signal === null ? 'exit code unknown' : `killed by ${signal}`;
}
