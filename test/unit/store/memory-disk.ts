/** A guard's disk in memory, which fails and crashes where a test says. */
import type { DiskPart, GuardDisk } from '../../../src/store/guard-disk.ts';

export class MemoryDisk implements GuardDisk {
  readonly files = new Map<string, Uint8Array>();
  /** Called before each write; throwing leaves the file as it is. */
  onWrite: (name: string, parts: readonly DiskPart[]) => void = () => undefined;

  read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.files.get(name)?.slice(0, maxBytes));
  }

  async writeSynced(name: string, parts: readonly DiskPart[]): Promise<void> {
    await Promise.resolve();
    this.onWrite(name, parts);
    for (const { at, bytes } of parts) this.put(name, at, bytes);
  }

  remove(name: string): Promise<void> {
    this.files.delete(name);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  put(name: string, at: number, bytes: Uint8Array): void {
    const old = this.files.get(name) ?? new Uint8Array();
    const file = new Uint8Array(Math.max(old.length, at + bytes.length));
    file.set(old);
    file.set(bytes, at);
    this.files.set(name, file);
  }

  copy(): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [name, bytes] of this.files) disk.files.set(name, bytes.slice());
    return disk;
  }
}
