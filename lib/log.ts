import {pino} from 'pino';
import type {DestinationStream} from 'pino';
import type {Log, LogFields} from './ports/log.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** The log of a process: from where on records are written can change while it runs. */
export interface ProcessLog extends Log {
  setLevel(level: Level): void;
}

export interface LogOptions {
  readonly level: Level;
  /** Stands in every record: the node's name, and the part of it that speaks. */
  readonly base: Readonly<Record<string, string>>;
  /** Where records go; standard output by default. */
  readonly destination?: DestinationStream;
}

/** Values longer than this are cut: no field of ours is, and a body would be. */
const maxCharacters = 256;

/** JSON records by pino, one a line. What may not be in a log is taken out here, whoever gave it. */
export function createLog({level, base, destination = standardOutput()}: LogOptions): ProcessLog {
  const writer = pino(
    {level, base, timestamp: pino.stdTimeFunctions.isoTime, formatters: {level: (label) => ({level: label})}},
    destination,
  );
  const log = logWith({}, (at, fields, sentence) => {
    if (writer.isLevelEnabled(at)) writer[at](cleanFields(fields, at), cleanText(sentence, at));
  });
  return {
    ...log,
    setLevel(next) {
      writer.level = next;
    },
  };
}

/** Written before the call returns: the last words before an exit are in order, and not lost. */
function standardOutput(): DestinationStream {
  return pino.destination({dest: 1, sync: true});
}

function logWith(own: LogFields, write: (at: Level, fields: LogFields, sentence: string) => void): Log {
  const at = (level: Level) => (fields: LogFields, sentence: string) => {
    write(level, {...own, ...fields}, sentence);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => logWith({...own, ...fields}, write),
  };
}

function cleanFields(fields: LogFields, level: Level): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, clean(value, level)]));
}

/** Numbers, truth values and one-line texts stay; an error becomes its code and message; octets and other objects are only named. */
function clean(value: unknown, level: Level): unknown {
  switch (typeof value) {
    case 'string':
      return cleanText(value, level);
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
    default:
      if (value instanceof Error) return cleanError(value, level);
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} octets]`;
      return `[${typeof value}]`;
  }
}

function cleanError(error: Error, level: Level): Record<string, string> {
  const code = 'code' in error && typeof error.code === 'string' ? {code: error.code} : {};
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const stack = level === 'error' && frames.length > 0 ? {stack: frames.join('\n')} : {};
  return {type: error.name, ...code, message: cleanText(error.message, level), ...stack};
}

/** One line, of bounded length, and without phone numbers from info on. */
function cleanText(text: string, level: Level): string {
  const [line = ''] = text.split(/[\r\n]/, 1);
  const bounded = line.length > maxCharacters ? `${line.slice(0, maxCharacters)}…` : line;
  return level === 'debug' ? bounded : maskPhoneNumbers(bounded);
}

/**
 * Phone numbers: the user part of a `tel:` or `sip:` URI made of digits and visual separators (RFC 3966 §3), an international number
 * (`+` and digits), and a run of 7 to 15 digits that stands alone. Identifiers such as `7f3a1234567` are left as they are.
 */
function maskPhoneNumbers(text: string): string {
  return text
    .replace(/((?:tel|sips?):)\+?[\d().-]{3,}/gi, '$1…')
    .replace(/\+\d[\d().\- ]{4,}\d/g, '…')
    .replace(/(?<![\w.-])\d{7,15}(?![\w-])/g, '…');
}
