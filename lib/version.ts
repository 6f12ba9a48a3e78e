import {readFileSync} from 'node:fs';
import path from 'node:path';
import {z} from 'zod';

/** The folder of this package: it holds package.json, `lib` and `dist`. */
export function packageRoot(): string {
  return path.resolve(import.meta.dirname, '..', '..');
}

/** The version that package.json states. */
export function packageVersion(): string {
  const stated: unknown = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8'));
  return z.object({version: z.string()}).parse(stated).version;
}
