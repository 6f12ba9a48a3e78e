/**
 * Frames of drachtio's admin protocol, bytes ↔ values: `<length>#<payload>`, the length in UTF-8 bytes; a payload is a line of fields
 * between `|`, and mostly CR LF and a SIP message.
 */
import {CpmError} from '../errors.ts';
import {GrowingBuffer} from '../codecs/growing-buffer.ts';

/** One payload. */
export interface Frame {
  readonly fields: readonly string[];
  /** The bytes after the first CR LF, `undefined` where there is none. */
  readonly message: Buffer | undefined;
}

/** What an application asks for; `id` is what the reply names. */
export type AppCommand =
  | {readonly kind: 'authenticate'; readonly id: string; readonly secret: string; readonly tags: readonly string[]}
  | {readonly kind: 'route' | 'remove_route'; readonly id: string; readonly verb: string}
  | {readonly kind: 'ping'; readonly id: string}
  | SipCommand
  | ProxyCommand
  | {readonly kind: 'unknown'; readonly id: string};

/** Send a SIP message: a response, an in-dialog request, a CANCEL or a new request, as ids and message say. */
export interface SipCommand {
  readonly kind: 'sip';
  readonly id: string;
  readonly transactionId: string | undefined;
  readonly dialogId: string | undefined;
  readonly proxyUri: string | undefined;
  readonly message: Buffer;
}

/** Proxy a request to destinations, one after the other or all at once. */
export interface ProxyCommand {
  readonly kind: 'proxy';
  readonly id: string;
  readonly transactionId: string;
  readonly recordRoute: boolean;
  readonly followRedirects: boolean;
  readonly simultaneous: boolean;
  /** Milliseconds to wait for the first, and for the final response; `undefined` is as long as it takes. */
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
  readonly destinations: readonly string[];
  readonly message: Buffer;
}

/** Splits an admin connection into frames; cutting the input anywhere changes nothing. */
export interface FrameParser {
  /** Throws `CpmError` `CPM_ADMIN_FRAME` for a length that is none; the connection is then of no use. */
  push(chunk: Uint8Array): readonly Frame[];
}

/** A length has at most five digits, as in the real server. */
const maxDigits = 5;

export function createFrameParser(): FrameParser {
  const waiting = new GrowingBuffer();
  let need: number | undefined;

  function next(): Frame | undefined {
    if (need === undefined) {
      const hash = waiting.peek(maxDigits + 1).indexOf(0x23);
      if (hash < 0 && waiting.length <= maxDigits) return undefined;
      const digits = waiting.peek(Math.max(hash, 0)).toString('latin1');
      if (!/^[1-9]\d*$/.test(digits)) throw new CpmError('CPM_ADMIN_FRAME', 400, 'an admin frame has no length');
      waiting.take(hash + 1);
      need = Number(digits);
    }
    if (waiting.length < need) return undefined;
    const payload = waiting.take(need);
    need = undefined;
    return parsePayload(payload);
  }

  return {
    push(chunk) {
      waiting.append(chunk);
      const frames: Frame[] = [];
      for (let frame = next(); frame !== undefined; frame = next()) frames.push(frame);
      return frames;
    },
  };
}

function parsePayload(payload: Buffer): Frame {
  const end = payload.indexOf('\r\n');
  const fields = payload
    .subarray(0, end < 0 ? payload.length : end)
    .toString()
    .split('|');
  return {fields, message: end < 0 ? undefined : payload.subarray(end + 2)};
}

/** Bytes of a frame. */
export function formatFrame(fields: readonly string[], message?: Uint8Array): Buffer {
  const line = Buffer.from(fields.join('|'));
  const payload = message === undefined ? line : Buffer.concat([line, Buffer.from('\r\n'), message]);
  return Buffer.concat([Buffer.from(`${payload.length}#`), payload]);
}

/** Reads what an application asks for. Whatever is no command of drachtio's is `unknown`. */
export function parseCommand({fields, message}: Frame): AppCommand {
  const [id = '', kind = '', ...rest] = fields;
  const body = message ?? Buffer.alloc(0);
  switch (kind) {
    case 'authenticate':
      return {kind, id, secret: rest[0] ?? '', tags: (rest[1] ?? '').split(',').filter((tag) => tag !== '')};
    case 'route':
    case 'remove_route':
      return {kind, id, verb: (rest[0] ?? '').toLowerCase()};
    case 'ping':
      return {kind, id};
    case 'sip':
      return {
        kind,
        id,
        transactionId: present(rest[0]),
        dialogId: present(rest[1]),
        proxyUri: present(rest[2]),
        message: body,
      };
    case 'proxy':
      return {
        kind,
        id,
        transactionId: rest[0] ?? '',
        recordRoute: rest[1] === 'remainInDialog',
        followRedirects: rest[3] === 'followRedirects',
        simultaneous: rest[4] === 'simultaneous',
        provisionalMs: parseDuration(rest[5]),
        finalMs: parseDuration(rest[6]),
        destinations: rest.slice(7).filter((destination) => destination !== ''),
        message: body,
      };
    default:
      return {kind: 'unknown', id};
  }
}

function present(field: string | undefined): string | undefined {
  return field === '' ? undefined : field;
}

/** `2s` or `500ms`; a bare number is seconds. */
export function parseDuration(field: string | undefined): number | undefined {
  const match = /^(\d{1,7})(ms|s)?$/.exec(field ?? '');
  return match === null ? undefined : Number(match[1]) * (match[2] === 'ms' ? 1 : 1000);
}

/** `HH:MM:SS.uuuuuu`, as the frames say it. */
export function formatTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(11, 23)}000`;
}
