/** What the launcher tells the code it loads into node processes (child.ts). */
export const CHILD_ENV = {
  /** "PID STARTED" of the process whose end is the node's end; absent in detached clusters. */
  launcher: 'TESTNET_LAUNCHER',
  log: 'TESTNET_LOG',
  exit: 'TESTNET_EXIT',
} as const;

/** A node's log may reach this size twice: the file in use and the one before it. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;
