/** `aitbc doctor`: what is wrong with a node, the likeliest cause first, and the fix for each. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { NodeError } from '../errors.ts';
import { VERSION } from '../version.ts';
import type { Context } from './context.ts';
import { createContext, readConfigText } from './context.ts';
import { diagnose } from './doctor/diagnose.ts';
import type { HomeFacts } from './doctor/facts.ts';
import type { Finding } from './doctor/finding.ts';
import { thrown } from './doctor/finding.ts';
import { printable } from './output.ts';
import { faultOf, probeNode } from './doctor/probe-node.ts';

const MARKS = { fault: '✗', warning: '!', ok: '✓' } as const;

export function register(program: Command): void {
  program
    .command('doctor')
    .description('what is wrong with a node, running or stopped, and the fix for each')
    .action(async (_options: object, command: Command) => {
      await examine(createContext(command));
    });
}

async function examine(context: Context): Promise<void> {
  const findings = await findingsOf(context);
  const faults = findings.filter(({ level }) => level === 'fault');
  const document = { healthy: faults.length === 0, findings };
  context.out.data(document, printable(findings.map(lines).join('\n')));
  const [first] = faults;
  if (first?.code) throw new NodeError(first.code, first.what, { ...(first.fix !== null && { hint: first.fix }) });
}

/** @throws NodeError what keeps it from looking */
export async function findingsOf(context: Context): Promise<Finding[]> {
  const { options, home: path } = context;
  // Another node than the one of this home, unless both are named.
  const isOther = options.rpc !== undefined && options.home === undefined;
  let chainId: string;
  let text: string | undefined;
  try {
    text = readConfigText(path);
    ({ chainId } = context.layout());
    if (!isOther && text === undefined) throw noHome(path);
  } catch (error) {
    return [thrown('config', faultOf(error), `mend config.toml in ${path}`)];
  }
  const client = context.client();
  // Of another node the default chain is its own.
  if (isOther && options.chain === undefined) chainId = (await client.chains()).chains[0]?.chain_id ?? chainId;
  const node = await probeNode(context.client(chainId), chainId);
  let home: HomeFacts | null = null;
  if (!isOther) {
    const config = loadConfig({ fileText: text ?? '', env: process.env });
    // It reads databases, which help does not need.
    const { probeHome } = await import('./doctor/probe-home.ts');
    home = await probeHome({ path, chainId, config, isRunning: node.fault === null });
  }
  return diagnose({ version: VERSION, nowMs: Date.now(), chainId, home, node });
}

function noHome(path: string): NodeError {
  return new NodeError('CONFIG', existsSync(path) ? `${path} has no config.toml` : `there is no node in ${path}`, {
    hint: 'make one with aitbc init, name its folder with --home, or another node with --rpc',
  });
}

function lines({ check, level, what, fix }: Finding): string {
  const line = `${MARKS[level]} ${check.padEnd(8)} ${what}`;
  return fix === null ? line : `${line}\n           → ${fix}`;
}
