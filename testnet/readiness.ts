/** Waiting until processes of a cluster answer, and know of each other; with an end, and with why it did not come. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '../src/errors.ts';
import { NodeError } from '../src/errors.ts';
import { probe } from './http.ts';
import type { Manifest } from './manifest.ts';
import type { Member } from './members.ts';
import { offeredModels } from './miners.ts';
import type { ExitStatus } from './node-process.ts';
import { describeExit, runningProcess } from './node-process.ts';

const POLL_MS = 25;

export interface Watched {
  readonly chainId: string;
  rpcOf(member: Member): string;
  logOf(member: Member): readonly string[];
  /** Of a process that is gone. */
  exitOf(member: Member): ExitStatus;
}

/** Until it answers 200. @throws NodeError of a process that ended, or TIMEOUT */
export async function untilAnswers(watched: Watched, member: Member, path: string, deadline: number): Promise<void> {
  const rpc = watched.rpcOf(member);
  const answers = async (): Promise<boolean> => (await probe(rpc + path)) === 200;
  await untilTrue(watched, member, answers, deadline, `ask ${rpc}/readyz what is missing`);
}

/** Until every validator that runs knows what each miner offers: models by the miner's name. @throws NodeError as above */
export async function untilOffered(
  watched: Watched,
  { nodes, miners = [] }: Manifest,
  deadline: number,
): Promise<Map<string, readonly string[]>> {
  const isRunning = ({ state }: Member): boolean => state === 'running';
  const seen = new Map<string, readonly string[]>();
  for (const miner of miners.filter(isRunning)) {
    for (const { rpc } of nodes.filter(isRunning)) {
      const isKnown = async (): Promise<boolean> => {
        const models = await offeredModels(rpc, miner.address);
        seen.set(miner.name, models);
        return models.length > 0;
      };
      await untilTrue(watched, miner, isKnown, deadline, `${rpc} does not know its offer`);
    }
  }
  return seen;
}

async function untilTrue(
  watched: Watched,
  member: Member,
  condition: () => Promise<boolean>,
  deadline: number,
  hint: string,
): Promise<void> {
  while (!(await condition())) {
    const data = { log: watched.logOf(member).join('\n') };
    const log = `read ${join(member.home, 'node.log')}`;
    if (!runningProcess(member, watched.chainId)) {
      const exit = watched.exitOf(member);
      throw new NodeError(codeOfExit(exit.code), `${member.name} ended: ${describeExit(exit)}`, { data, hint: log });
    }
    if (performance.now() > deadline) {
      throw new NodeError('TIMEOUT', `${member.name} did not become ready`, { data, hint: `${log}; ${hint}` });
    }
    await sleep(POLL_MS);
  }
}

function codeOfExit(exit: number | null): ErrorCode {
  switch (exit) {
    case 3:
      return 'DATA_FOLDER';
    case 10:
      return 'GUARD';
    case 11:
      return 'CORRUPT';
    case 12:
      return 'STORAGE';
    default:
      return 'INTERNAL';
  }
}
