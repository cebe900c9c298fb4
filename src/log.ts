/** Logs: a constant message and a context object. Lines are JSON, or text for a person at a terminal. */
import { pino } from 'pino';
import { toHex } from './bytes.ts';
import { isNodeError } from './errors.ts';
import type { LevelSpec, LogLevel } from './log-level.ts';
import { parseLevelSpec } from './log-level.ts';

export type LogContext = Readonly<Record<string, unknown>>;

export interface Logger {
  error(message: string, context?: LogContext): void;
  warn(message: string, context?: LogContext): void;
  info(message: string, context?: LogContext): void;
  debug(message: string, context?: LogContext): void;
  /** A logger whose lines carry `module`, with the level the specification gives to that module. */
  child(module: string): Logger;
}

export interface RootLogger extends Logger {
  /** For all that was made of it too. @param spec as in "info,net:debug" */
  setLevels(spec: string): void;
}

/** Whatever takes lines; `process.stderr` in the node. */
export interface LogStream {
  write(line: string): unknown;
  readonly isTTY?: boolean;
}

export interface LoggerOptions {
  /** Default level and levels by module, as in "info,net:debug,consensus:warn". */
  readonly level: string;
  readonly format: 'json' | 'pretty';
  readonly stream: LogStream;
}

/** Deep or long values are cut: a log line is for a reader, and must stay bounded whatever a peer sent. */
const MAX_DEPTH = 4;
const MAX_ITEMS = 32;
const MAX_TEXT = 2_000;
const MAX_BYTES = 64;

const SECRET_KEY = /pass(word|phrase)?$|mnemonic|secret|private_?key|seed$|^token$|authorization|cookie/i;

/** @throws NodeError CONFIG when a level is unknown, as `setLevels` does */
export function createLogger(options: LoggerOptions): RootLogger {
  let levels = parseLevelSpec(options.level);
  const stream = options.format === 'json' ? options.stream : prettyStream(options.stream);
  const root = pino(
    {
      // What is left out is decided below: it can change while loggers are in use.
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write: (line: string) => void stream.write(line) },
  );
  return {
    ...wrap(root, '', () => levels),
    setLevels: (spec) => {
      levels = parseLevelSpec(spec);
    },
  };
}

const ignore = (): void => undefined;

export const nopLogger: Logger = {
  error: ignore,
  warn: ignore,
  info: ignore,
  debug: ignore,
  child: () => nopLogger,
};

/** Lines of one chain carry its id. */
export function chainLogger(log: Logger, chain: string): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, context?: LogContext): void => {
      log[level](message, { chain, ...context });
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: (module) => chainLogger(log.child(module), chain),
  };
}

/** In the order of how much they let through. */
const RANK: Readonly<Record<LogLevel | 'silent', number>> = { silent: 0, error: 1, warn: 2, info: 3, debug: 4 };

function wrap(target: pino.Logger, module: string, levels: () => LevelSpec): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, context?: LogContext): void => {
      const { base, modules } = levels();
      if (RANK[level] > RANK[modules.get(module) ?? base]) return;
      if (context === undefined) target[level](message);
      else target[level](printable(context, 0), message);
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: (name) => wrap(target.child({ module: name }), name, levels),
  };
}

/** A plain, bounded copy of a value: bytes as hex, errors with their code, secrets left out. */
function printable(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) {
    return value.length > MAX_BYTES ? `${toHex(value.subarray(0, MAX_BYTES))}… (${value.length} bytes)` : toHex(value);
  }
  if (depth >= MAX_DEPTH) return '…';
  if (value instanceof Error) return printableError(value, depth);
  if (value instanceof Map) return printable(Object.fromEntries(value), depth);
  if (Array.isArray(value) || value instanceof Set) {
    const items: unknown[] = [...value];
    const shown = items.slice(0, MAX_ITEMS).map((item) => printable(item, depth + 1));
    return items.length > MAX_ITEMS ? [...shown, `… (${items.length})`] : shown;
  }
  const out: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value).slice(0, MAX_ITEMS)) {
    out[key] = SECRET_KEY.test(key) ? '[redacted]' : printable(item, depth + 1);
  }
  return out;
}

function printableError(error: Error, depth: number): unknown {
  const out: Record<string, unknown> = { message: printable(error.message, depth) };
  if (isNodeError(error)) {
    out['code'] = error.code;
    if (Object.keys(error.data).length > 0) out['data'] = printable(error.data, depth + 1);
    if (error.hint !== undefined) out['hint'] = error.hint;
  } else {
    out['type'] = error.name;
  }
  out['stack'] = printable(error.stack, depth);
  if (error.cause !== undefined) out['cause'] = printable(error.cause, depth + 1);
  return out;
}

const COLOURS: Readonly<Record<string, number>> = { error: 31, warn: 33, info: 36, debug: 90 };

/** One line for a person: time, level, module, message, then the context as key=value; stacks on lines of their own. */
function prettyStream(stream: LogStream): LogStream {
  const colour = stream.isTTY === true && process.env['NO_COLOR'] === undefined;
  return {
    write: (line) => {
      const { level, time, module, msg, ...context } = JSON.parse(line) as Record<string, unknown>;
      const label = String(level).toUpperCase().padEnd(5);
      const head = colour ? `\u001b[${COLOURS[String(level)] ?? 0}m${label}\u001b[0m` : label;
      const where = typeof module === 'string' ? `${module}: ` : '';
      const stacks: string[] = [];
      const pairs = Object.entries(context).map(([key, value]) => ` ${key}=${pair(value, stacks)}`);
      stream.write(`${String(time).slice(11, 23)} ${head} ${where}${String(msg)}${pairs.join('')}\n${stacks.join('')}`);
    },
  };
}

function pair(value: unknown, stacks: string[]): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'object' && value !== null && 'stack' in value && typeof value.stack === 'string') {
    const { stack, ...rest } = value;
    stacks.push(`${stack}\n`);
    return JSON.stringify(rest);
  }
  return JSON.stringify(value);
}
