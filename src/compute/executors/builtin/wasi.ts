/**
 * WASI preview1 as far as a pure computation needs it (github.com/WebAssembly/WASI, legacy/preview1): arguments, standard
 * input, output and error, and an exit. There is no file, no directory, no environment, no socket; clocks and randomness are
 * computed, so that a module given the same input does the same everywhere.
 */
import { createCipheriv, createHash } from 'node:crypto';

const SUCCESS = 0;
const BADF = 8;
const FAULT = 21;
const INVAL = 28;
const NOSYS = 52;
const SPIPE = 70;

const CHARACTER_DEVICE = 2;
const EVENT_CLOCK = 0;
const ABSOLUTE_TIME = 1;

/** The clock starts in 2020 and moves by this with every look at it. */
const START_NS = 1_577_836_800_000_000_000n;
const TICK_NS = 1_000_000n;

const ARGV0 = 'module.wasm';

/** Given up on here: asked for, they answer that they do not exist (NOSYS), or that the file is not open (BADF). */
const ABSENT = [
  'fd_advise fd_allocate fd_datasync fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size',
  'fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_readdir fd_renumber fd_sync',
  'path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink',
  'path_remove_directory path_rename path_symlink path_unlink_file proc_raise sock_accept sock_recv sock_send',
  'sock_shutdown',
]
  .join(' ')
  .split(' ');

const PRESENT = [
  'args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_close fd_fdstat_get fd_read',
  'fd_seek fd_tell fd_write poll_oneoff proc_exit random_get sched_yield',
]
  .join(' ')
  .split(' ');

/** Every function of the specification: a module may import it, whether or not it does anything. */
export const WASI_FUNCTIONS: ReadonlySet<string> = new Set([...ABSENT, ...PRESENT]);

export interface WasiHost {
  readonly args: readonly string[];
  readonly stdin: Uint8Array;
  readonly seed: number;
  /** The module's memory, once it is instantiated. */
  memory(): WebAssembly.Memory;
  /** Takes a copy of what is written to standard output (1) or error (2). */
  write(fd: 1 | 2, bytes: Uint8Array): void;
  /** Does not return. */
  exit(code: number): never;
}

type Num = number | bigint;
type Wasi = Record<string, (...args: Num[]) => number>;

export function wasiImports(host: WasiHost): Wasi {
  const imports: Wasi = {};
  for (const name of ABSENT) imports[name] = () => (name.startsWith('fd_') ? BADF : NOSYS);
  const present = { ...processFunctions(host), ...fileFunctions(host), ...pollFunctions(host) };
  for (const [name, call] of Object.entries(present)) {
    imports[name] = (...args) => {
      try {
        return call(...args);
      } catch (error) {
        // Outside the memory of the module.
        if (error instanceof RangeError) return FAULT;
        throw error;
      }
    };
  }
  return imports;
}

function processFunctions(host: WasiHost): Wasi {
  const args = [ARGV0, ...host.args].map((arg) => new TextEncoder().encode(`${arg}\0`));
  const argBytes = args.reduce((sum, { length }) => sum + length, 0);
  const random = randomBytes(host.seed);
  const view = (): DataView => new DataView(host.memory().buffer);
  return {
    args_sizes_get(countAt, sizeAt) {
      view().setUint32(address(countAt), args.length, true);
      view().setUint32(address(sizeAt), argBytes, true);
      return SUCCESS;
    },
    args_get(pointersAt, bytesAt) {
      let at = address(bytesAt);
      args.forEach((arg, index) => {
        view().setUint32(address(pointersAt) + index * 4, at, true);
        slice(host, at, arg.length).set(arg);
        at += arg.length;
      });
      return SUCCESS;
    },
    environ_sizes_get(countAt, sizeAt) {
      view().setUint32(address(countAt), 0, true);
      view().setUint32(address(sizeAt), 0, true);
      return SUCCESS;
    },
    environ_get: () => SUCCESS,
    random_get(at, length) {
      random(slice(host, address(at), address(length)));
      return SUCCESS;
    },
    sched_yield: () => SUCCESS,
    proc_exit: (code) => host.exit(address(code)),
  };
}

function fileFunctions(host: WasiHost): Wasi {
  let read = 0;
  const view = (): DataView => new DataView(host.memory().buffer);
  const isStandard = (fd: Num | undefined): boolean => address(fd) <= 2;
  return {
    fd_write(fd, vectorsAt, count, writtenAt) {
      const to = address(fd);
      if (to !== 1 && to !== 2) return BADF;
      let written = 0;
      for (const bytes of vectors(host, vectorsAt, count)) {
        host.write(to, bytes);
        written += bytes.length;
      }
      view().setUint32(address(writtenAt), written, true);
      return SUCCESS;
    },
    fd_read(fd, vectorsAt, count, readAt) {
      if (address(fd) !== 0) return BADF;
      const before = read;
      for (const bytes of vectors(host, vectorsAt, count)) {
        const part = host.stdin.subarray(read, read + bytes.length);
        bytes.set(part);
        read += part.length;
      }
      view().setUint32(address(readAt), read - before, true);
      return SUCCESS;
    },
    fd_close: (fd) => (isStandard(fd) ? SUCCESS : BADF),
    fd_seek: (fd) => (isStandard(fd) ? SPIPE : BADF),
    fd_tell: (fd) => (isStandard(fd) ? SPIPE : BADF),
    fd_fdstat_get(fd, at) {
      if (!isStandard(fd)) return BADF;
      slice(host, address(at), 24).fill(0);
      view().setUint8(address(at), CHARACTER_DEVICE);
      // fd_read and fd_write, the only rights there are.
      view().setBigUint64(address(at) + 8, address(fd) === 0 ? 1n << 1n : 1n << 6n, true);
      return SUCCESS;
    },
  };
}

/** Time passes by being looked at and by being waited for, and never otherwise. */
function pollFunctions(host: WasiHost): Wasi {
  let now = START_NS;
  const view = (): DataView => new DataView(host.memory().buffer);
  return {
    clock_res_get(_, at) {
      view().setBigUint64(address(at), TICK_NS, true);
      return SUCCESS;
    },
    clock_time_get(_, __, at) {
      now += TICK_NS;
      view().setBigUint64(address(at), now, true);
      return SUCCESS;
    },
    poll_oneoff(subscriptionsAt, eventsAt, count, readyAt) {
      const total = address(count);
      if (total === 0) return INVAL;
      // Standard input and output are always ready; of clocks alone, the first to ring.
      let first: { at: number; due: bigint } | null = null;
      for (let index = 0; index < total; index++) {
        const at = address(subscriptionsAt) + index * 48;
        const due = dueAt(view(), at, now);
        if (first === null || due < first.due) first = { at, due };
      }
      if (first === null) return INVAL;
      if (first.due > now) now = first.due;
      const event = address(eventsAt);
      slice(host, event, 32).fill(0);
      view().setBigUint64(event, view().getBigUint64(first.at, true), true);
      view().setUint8(event + 10, view().getUint8(first.at + 8));
      view().setUint32(address(readyAt), 1, true);
      return SUCCESS;
    },
  };
}

/** Of a subscription; 0 when it is ready already. */
function dueAt(view: DataView, at: number, now: bigint): bigint {
  if (view.getUint8(at + 8) !== EVENT_CLOCK) return 0n;
  const timeout = view.getBigUint64(at + 24, true);
  return (view.getUint16(at + 40, true) & ABSOLUTE_TIME) === 0 ? now + timeout : timeout;
}

function* vectors(host: WasiHost, at: Num | undefined, count: Num | undefined): Generator<Uint8Array> {
  for (let index = 0; index < address(count); index++) {
    const view = new DataView(host.memory().buffer);
    const entry = address(at) + index * 8;
    yield slice(host, view.getUint32(entry, true), view.getUint32(entry + 4, true));
  }
}

/** Of the module's memory as it is now: it may have grown. @throws RangeError */
function slice(host: WasiHost, at: number, length: number): Uint8Array {
  return new Uint8Array(host.memory().buffer, at, length);
}

function address(value: Num | undefined): number {
  return Number(value ?? 0) >>> 0;
}

/** The same bytes for the same seed, everywhere: AES-256 in counter mode. */
function randomBytes(seed: number): (target: Uint8Array) => void {
  const key = createHash('sha256').update(`aitbc/wasi-random/1 ${seed}`).digest();
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return (target) => {
    target.fill(0);
    target.set(cipher.update(target));
  };
}
