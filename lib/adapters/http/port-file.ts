import {mkdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {z} from 'zod';

/**
 * Where the admin endpoint of the running PF is, and the key to what concerns messages: written by it, for its own user alone, and read by
 * the command line.
 */
const portFile = z.object({url: z.url(), pid: z.int(), key: z.string()});

export type PortFile = Readonly<z.infer<typeof portFile>>;

/** Appears whole or not at all. */
export function writePortFile(runtimeDirectory: string, content: PortFile): void {
  mkdirSync(runtimeDirectory, {recursive: true});
  const unfinished = `${nameIn(runtimeDirectory)}.${content.pid}`;
  writeFileSync(unfinished, `${JSON.stringify(content)}\n`, {mode: 0o600});
  renameSync(unfinished, nameIn(runtimeDirectory));
}

/** Undefined where there is none, or none that can be read. */
export function readPortFile(runtimeDirectory: string): PortFile | undefined {
  try {
    return portFile.parse(JSON.parse(readFileSync(nameIn(runtimeDirectory), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Removes the file, unless another process has written its own meanwhile. */
export function removePortFile(runtimeDirectory: string, pid: number): void {
  if (readPortFile(runtimeDirectory)?.pid === pid) rmSync(nameIn(runtimeDirectory), {force: true});
}

const nameIn = (runtimeDirectory: string): string => path.join(runtimeDirectory, 'admin.json');
