/** How much is logged: a level, and levels of single modules. Apart from the logger, so that options are read without it. */
import { NodeError } from './errors.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface LevelSpec {
  readonly base: LogLevel | 'silent';
  readonly modules: ReadonlyMap<string, LogLevel | 'silent'>;
}

const LEVELS: ReadonlySet<string> = new Set(['error', 'warn', 'info', 'debug', 'silent']);

/** @throws NodeError CONFIG when a level is unknown */
export function parseLevelSpec(spec: string): LevelSpec {
  let base: LogLevel | 'silent' = 'info';
  const modules = new Map<string, LogLevel | 'silent'>();
  for (const part of spec.split(',')) {
    const [first = '', second] = part.trim().split(':');
    const level = second ?? first;
    if (!isLevel(level)) {
      throw new NodeError('CONFIG', 'not a log level', {
        data: { part },
        hint: 'use error, warn, info, debug or silent, with modules as in "info,net:debug"',
      });
    }
    if (second === undefined) base = level;
    else modules.set(first, level);
  }
  return { base, modules };
}

function isLevel(text: string): text is LogLevel | 'silent' {
  return LEVELS.has(text);
}
