/** `aitbc miner status|drain|earnings`: the miner of the node of this home, over its admin socket. */
import type { Command } from 'commander';
import { delay, systemClock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { OwnMinerResponse } from '../sdk/market-types.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { fields, plural, shortHash, table } from './output.ts';

const POLL_MS = 500;

export function registerMinerOperator(miner: Command): void {
  miner
    .command('status')
    .description('what the miner of this node does and offers')
    .action(async (_options: object, command: Command) => {
      const context = createContext(command);
      const status = await context.operator().miner();
      context.out.data(status, describe(status));
    });
  miner
    .command('drain')
    .description('take no more work; waits (--timeout) until what is at work has ended and is settled')
    .action(async (_options: object, command: Command) => {
      await drain(createContext(command));
    });
  miner
    .command('earnings')
    .description('what is paid, what is due, and under which agreements')
    .action(async (_options: object, command: Command) => {
      const context = createContext(command);
      const status = await context.operator().miner();
      const document = earningsOf(status);
      context.out.data(document, describeEarnings(document, status));
    });
}

async function drain(context: Context): Promise<void> {
  const untilMs = systemClock.monotonic() + context.timeoutMs;
  let status = await context.operator().drainMiner();
  while (status.working > 0 || status.settlements_pending > 0) {
    if (systemClock.monotonic() > untilMs) {
      throw new NodeError('TIMEOUT', `${plural(status.working, 'job')} still at work; no more is taken`, {
        data: { working: status.working, settlements: status.settlements_pending },
        hint: 'wait longer with --timeout; aitbc miner status tells how far it is',
      });
    }
    await delay(systemClock, POLL_MS);
    status = await context.operator().miner();
  }
  context.out.data(status, 'drained: stop the node, or start it again to take work');
}

function describe(status: OwnMinerResponse): string {
  const { reason } = status;
  const head = fields([
    ['address', status.address],
    ['state', reason ? `${status.state}: ${reason.message} [${reason.code}]` : status.state],
    ['slots', `${status.working} of ${status.slots} at work, ${status.free} free`],
    ['stake', formatAit(status.staked_uait)],
    ['balance', formatAit(status.balance_uait)],
    ['unsettled', `${formatAit(status.unsettled_uait)} under ${plural(status.agreements.length, 'agreement')}`],
  ]);
  const rows = status.models.map((model) => [
    ...[model.kind, model.model, model.warm ? 'yes' : 'no'],
    `${model.fixed_uait} + ${model.input_uait_per_kib} + ${model.output_uait_per_kib}`,
    model.first_output_ms === null ? '-' : `${model.first_output_ms} ms`,
    model.bytes_per_second === 0 ? '-' : `${model.bytes_per_second} B/s`,
  ]);
  return `${head}\n\n${table(['KIND', 'MODEL', 'LOADED', 'UAIT JOB + KIB IN + KIB OUT', 'FIRST', 'RATE'], rows)}`;
}

interface Earnings {
  readonly earned_uait: string;
  readonly unsettled_uait: string;
  readonly receipts: number;
  readonly agreements: OwnMinerResponse['agreements'];
  readonly closed: OwnMinerResponse['closed'];
}

function earningsOf({ agreements, closed, unsettled_uait }: OwnMinerResponse): Earnings {
  const open = agreements.reduce((sum, { paid_uait }) => sum + BigInt(paid_uait), 0n);
  return {
    earned_uait: String(open + BigInt(closed.earned_uait)),
    unsettled_uait,
    receipts: agreements.reduce((sum, { receipts }) => sum + receipts, closed.receipts),
    ...{ agreements, closed },
  };
}

function describeEarnings(earnings: Earnings, { agreements }: OwnMinerResponse): string {
  const head = fields([
    ['earned', formatAit(earnings.earned_uait)],
    ['unsettled', formatAit(earnings.unsettled_uait)],
    ['jobs', earnings.receipts],
    ['agreements', `${agreements.length} open, ${earnings.closed.agreements} closed`],
  ]);
  if (agreements.length === 0) return head;
  const rows = agreements.map((each) => [
    ...[shortHash(each.agreement), each.state, shortHash(each.client), each.receipts],
    ...[formatAit(each.due_uait), formatAit(each.paid_uait)],
  ]);
  return `${head}\n\n${table(['AGREEMENT', 'STATE', 'CLIENT', 'JOBS', 'DUE', 'PAID'], rows)}`;
}
