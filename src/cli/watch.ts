/** `aitbc watch`: a line for everything that happens, until it is interrupted. */
import type { Command } from 'commander';
import type { JsonObject } from '../chain/modules/types.ts';
import type { NodeError } from '../errors.ts';
import type { LiveState } from '../sdk/live.ts';
import { connectLive } from '../sdk/live.ts';
import type {
  AccountEvent,
  ConsensusEvent,
  PeersEvent,
  PendingEvent,
  TopicName,
  TransactionsEvent,
} from '../sdk/live-types.ts';
import type { JobResponse } from '../sdk/job-types.ts';
import type { HeadResponse } from '../sdk/types.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { positiveNumber } from './options.ts';
import { plural, shortHash } from './output.ts';

interface WatchOptions {
  readonly fromHeight?: number;
  readonly count?: number;
}

export function register(program: Command): void {
  program
    .command('watch')
    .description('a line for every block, transaction, step of agreement, peer, or job that a node pays for')
    .argument('[topic...]', 'blocks, txs, consensus, peers, jobs, account:ADDRESS', ['blocks'])
    .option('--from-height <height>', 'begin with this height: blocks, txs and accounts', positiveNumber)
    .option('--count <lines>', 'end after so many events', positiveNumber)
    .addHelpText('after', '\nWith --json every line is a document. A lost connection is taken up again without a gap.')
    .action(async (topics: string[], options: WatchOptions, command: Command) => {
      await watch(createContext(command), [...new Set(topics)], options);
    });
}

async function watch(context: Context, topics: readonly string[], options: WatchOptions): Promise<void> {
  const { out } = context;
  const client = context.client();
  // Who is not there at the beginning need not be waited for.
  await client.status();
  const { chain } = context.options;
  await new Promise<void>((resolve, reject) => {
    let left = options.count ?? Infinity;
    const apiKey = context.apiKey();
    const live = connectLive({
      url: client.url,
      ...(apiKey !== undefined && { apiKey }),
      ...(chain !== undefined && { chainId: chain }),
      onState: (state) => {
        const note = NOTES[state];
        if (note) out.note(note(client.url));
      },
    });
    const end = (error?: NodeError): void => {
      process.stdout.off('error', onPipe);
      live.close();
      if (error) reject(error);
      else resolve();
    };
    // Whoever reads has had enough, e.g. head.
    const onPipe = (): void => {
      end();
    };
    process.stdout.on('error', onPipe);
    for (const topic of topics as TopicName[]) {
      const from = WITHOUT_HEIGHT.has(topic) ? undefined : options.fromHeight;
      live.subscribe(topic, {
        ...(from !== undefined && { fromHeight: from }),
        onEvent: (data, { chainId, height }) => {
          const text = describe(topic, data);
          if (text === '' || left-- <= 0) return;
          out.data({ topic, chain_id: chainId, height, data }, text);
          if (left <= 0) end();
        },
        onError: end,
      });
    }
  });
}

const WITHOUT_HEIGHT: ReadonlySet<TopicName> = new Set(['consensus', 'peers', 'jobs']);

const NOTES: Readonly<Partial<Record<LiveState, (url: string) => string>>> = {
  open: (url) => `listening to ${url}; Ctrl-C ends`,
  waiting: (url) => `no connection to ${url}: trying again, from where it ended`,
};

function describe(topic: TopicName, data: unknown): string {
  switch (topic) {
    case 'blocks': {
      const { height, hash, tx_count, timestamp, round } = data as HeadResponse;
      const rounds = round > 0 ? `  round ${round}` : '';
      return `block ${height}  ${shortHash(hash)}  ${plural(tx_count, 'transaction')}  ${timestamp}${rounds}`;
    }
    case 'txs': {
      const event = data as TransactionsEvent | PendingEvent;
      return ('pending' in event ? pendingLines(event) : transactionLines(event)).join('\n');
    }
    case 'consensus': {
      const { height, round, step, proposer } = data as ConsensusEvent;
      return `height ${height}  round ${round}  ${step}  proposer ${proposer === null ? '-' : shortHash(proposer)}`;
    }
    case 'peers': {
      const { joined, left, count } = data as PeersEvent;
      const changes = [...joined.map(({ peer_id }) => `joined ${peer_id}`), ...left.map((id) => `left ${id}`)];
      return changes.map((change) => `peer ${change}  ${plural(count, 'peer')}`).join('\n');
    }
    case 'jobs': {
      const { job_id, state, stage, model, attempt, error_code, spent_uait } = data as JobResponse;
      const why = error_code === null ? '' : `  ${error_code}`;
      return `job ${job_id}  ${state}  ${stage}  attempt ${attempt}  ${model ?? 'any model'}  ${formatAit(spent_uait)}${why}`;
    }
    default: {
      const event = data as AccountEvent;
      const { balance_uait, nonce, address } = event.account;
      const now = `${shortHash(address)}  ${formatAit(balance_uait)}  nonce ${nonce}`;
      return [...transactionLines(event), now].join('\n');
    }
  }
}

function pendingLines({ pending }: PendingEvent): string[] {
  const { transactions, dropped, omitted } = pending;
  return [
    ...transactions.map(({ hash, transaction }) => `tx ${hash}  ${typeOf(transaction)}  pending`),
    ...dropped.map(
      ({ hash, code, reason }) => `tx ${hash}  dropped: ${code ?? '-'}: ${reason ?? 'no reason is known'}`,
    ),
    ...(omitted > 0 ? [`${plural(omitted, 'more transaction')} pending`] : []),
  ];
}

function typeOf({ type }: JsonObject): string {
  return typeof type === 'string' ? type : '-';
}

function transactionLines({ height, transactions }: TransactionsEvent): string[] {
  return transactions.map(({ hash, code_name, transaction }) => {
    return `tx ${hash}  ${typeOf(transaction)}  ${code_name ?? '-'}  block ${height}`;
  });
}
