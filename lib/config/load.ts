import {readFileSync} from 'node:fs';
import nodePath from 'node:path';
import {LineCounter, isMap, isScalar, isSeq, parseDocument, visit} from 'yaml';
import type {Document} from 'yaml';
import type {z} from 'zod';
import {CertificateError, readCertificate} from '../certificate-files.ts';
import {ConfigError, didYouMean} from './mistakes.ts';
import type {Mistake} from './mistakes.ts';
import {outline, outlineAt} from './outline.ts';
import type {Outline} from './outline.ts';
import {schema} from './schema.ts';

type DeepReadonly<T> = T extends object ? {readonly [K in keyof T]: DeepReadonly<T[K]>} : T;

type Parsed = z.output<typeof schema>;

/** The configuration, checked, with every default in place and every path absolute. */
export type Config = DeepReadonly<
  Parsed & {
    cpm: {deferredMsgMgmtUri: string};
    relay: {spoolDirectory: string};
    store: {path: string};
  }
>;

/** A configuration, and what is needed to say where in its file something else is wrong with it. */
export interface ReadConfig {
  readonly config: Config;
  /** The folder that paths are relative to. */
  readonly folder: string;
  readonly mistake: (path: readonly string[], sentence: string) => Mistake;
}

/** Reads a configuration file; see `parseConfig`. A file that cannot be read is a mistake, too. */
export const loadConfig = (file: string, env: NodeJS.ProcessEnv): Config => readConfigFile(file, env).config;

/** As `loadConfig`, with the places. */
export function readConfigFile(file: string, env: NodeJS.ProcessEnv): ReadConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([{file, line: 1, key: '', sentence: `cannot be read: ${why}`}]);
  }
  return readConfig(text, file, env);
}

/**
 * Checks a configuration in YAML. `${NAME}` in a value stands for an environment variable; a key without a value has its default.
 * `name` is the file's name: it stands in front of mistakes, and paths are read relative to its folder.
 * Throws `ConfigError` (`CPM_CONFIG`) with every mistake found.
 */
export const parseConfig = (text: string, name: string, env: NodeJS.ProcessEnv): Config =>
  readConfig(text, name, env).config;

/** As `parseConfig`, with the places. */
export function readConfig(text: string, name: string, env: NodeJS.ProcessEnv): ReadConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines, prettyErrors: false});
  const mistake = (offset: number, key: string, sentence: string): Mistake => ({
    file: name,
    line: Math.max(1, lines.linePos(offset).line),
    key,
    sentence,
  });

  const unreadable = [...document.errors, ...document.warnings].map((error) =>
    mistake(error.pos[0], '', error.message),
  );
  if (unreadable.length > 0) throw new ConfigError(unreadable);
  const unset = substitute(document, env).map(({offset, variable}) =>
    mistake(offset, '', `the environment variable ${variable} is not set`),
  );
  if (unset.length > 0) throw new ConfigError(unset);

  const mistakeAt = (path: readonly string[], sentence: string): Mistake =>
    mistake(offsetOf(document, path), path.join('.'), sentence);
  const given: unknown = document.toJS() ?? {};
  const result = schema.safeParse(given);
  if (!result.success)
    throw new ConfigError(
      findingsOf(result.error, given, outline).map(({path, sentence}) => mistakeAt(path, sentence)),
    );
  const folder = nodePath.dirname(nodePath.resolve(name));
  const config = complete(result.data, folder);
  const unusable = unusableFiles(config).map(({path, sentence}) => mistakeAt(path, sentence));
  if (unusable.length > 0) throw new ConfigError(unusable);
  return {config, folder, mistake: mistakeAt};
}

/** Puts the environment's values in, and takes keys without a value out. Answers the variables that are not there. */
function substitute(document: Document.Parsed, env: NodeJS.ProcessEnv): {offset: number; variable: string}[] {
  const missing: {offset: number; variable: string}[] = [];
  visit(document, {
    Pair: (_, pair) => (isScalar(pair.value) && pair.value.value === null ? visit.REMOVE : undefined),
    Scalar(key, scalar) {
      if (key === 'key' || typeof scalar.value !== 'string') return;
      scalar.value = scalar.value.replace(/\$\{(\w+)\}/g, (_, variable: string) => {
        const value = env[variable];
        if (value === undefined) missing.push({offset: scalar.range?.[0] ?? 0, variable});
        return value ?? '';
      });
    },
  });
  return missing;
}

/** Certificates that we, or our own relay, could not use; those of sidecars that run elsewhere are not here. */
function unusableFiles({relay, peers}: Config): Finding[] {
  const own = relay.sidecars.length > 0 ? [] : (['access', 'core'] as const);
  const used = [
    {path: ['peers', 'tls'], tls: peers.tls},
    ...own.map((side) => ({path: ['relay', side, 'tls'], tls: relay[side].tls})),
  ];
  return used.flatMap(({path, tls: {certificateFile, keyFile, authorityFile}}): Finding[] => {
    if (certificateFile === undefined || keyFile === undefined) return [];
    try {
      readCertificate({certificateFile, keyFile, authorityFile});
      return [];
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      return [{path: [...path, error.key], sentence: error.why}];
    }
  });
}

export interface Finding {
  readonly path: readonly string[];
  readonly sentence: string;
}

/** What a schema found wrong with a value, in our words; `root` is the schema's outline. */
export const findingsOf = (error: z.ZodError, given: unknown, root: Outline | undefined): readonly Finding[] =>
  error.issues.flatMap((issue) => describe(issue, given, root));

/** An issue about several unknown keys is several findings. */
function describe(issue: z.core.$ZodIssue, given: unknown, root: Outline | undefined): Finding[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(outlineIn(root, path)?.keys ?? {});
    return issue.keys.map((key) => {
      const meant = didYouMean(key, known);
      const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
      return {path: [...path, key], sentence: `is not known; ${hint}`};
    });
  }
  if (issue.code === 'custom' && issue.message !== 'Invalid input')
    return [{path, sentence: `expected ${issue.message}`}];
  const at = outlineIn(root, path);
  const found = at?.secret === true ? '' : `, found ${show(valueAt(given, path))}`;
  return [{path, sentence: `expected ${at?.expected ?? issue.message}${found}`}];
}

const outlineIn = (root: Outline | undefined, path: readonly string[]): Outline | undefined =>
  root === undefined ? undefined : outlineAt(path, root);

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined),
    value,
  );
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a section';
  return JSON.stringify(value);
}

/** Where the value at `path` is written, or the innermost part of the path that is there. */
function offsetOf(document: Document.Parsed, path: readonly string[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) break;
      offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (isMap(node) || isSeq(node) || isScalar(node)) offset = node.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

/** Fills in the defaults that follow from other keys, and makes paths absolute. */
function complete(parsed: Parsed, folder: string): Config {
  const {node, relay, store} = parsed;
  const derived = {
    ...parsed,
    cpm: {
      ...parsed.cpm,
      deferredMsgMgmtUri: parsed.cpm.deferredMsgMgmtUri ?? `sip:rcse-standfw@${parsed.sip.homeDomain}`,
    },
    relay: {...relay, spoolDirectory: relay.spoolDirectory ?? nodePath.join(node.runtimeDirectory, 'spool')},
    store: {...store, path: store.path ?? nodePath.join(node.stateDirectory, 'cpm.db')},
  };
  return absolute(derived, outline, folder) as Config;
}

/** The value with its paths, as the outline names them, relative to a folder. */
export function absolute(value: unknown, at: Outline, folder: string): unknown {
  if (at.path && typeof value === 'string') return nodePath.resolve(folder, value);
  if (at.type !== 'section' || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const inside = at.keys[key];
      return [key, inside === undefined ? (inner as unknown) : absolute(inner, inside, folder)];
    }),
  );
}
