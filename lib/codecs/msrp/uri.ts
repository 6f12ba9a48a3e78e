/**
 * MSRP URIs (RFC 4975 §6): who a frame is for. A session is found by the session-id alone, whatever host and port stand before it.
 * @clause RFC 4975 §6.1 E5
 */
import {CpmError} from '../../errors.ts';

export interface MsrpUri {
  /** `msrps`: over TLS. */
  readonly secure: boolean;
  /** Without brackets, also where it is an IPv6 address. */
  readonly host: string;
  readonly port: number | undefined;
  /** Undefined in the URI of a relay. */
  readonly sessionId: string | undefined;
  /** `tcp`, `ws`: lower case. */
  readonly transport: string;
}

// MSRP-URI = ("msrp" / "msrps") "://" [userinfo "@"] host [":" port] ["/" session-id] ";" transport *(";" URI-parameter)
const pattern =
  /^(msrps?):\/\/(?:[^@/;\s]*@)?(\[[0-9a-f:.]+\]|[^:/;@[\]\s]+)(?::(\d{1,5}))?(?:\/([\w.~+=/-]*))?;([a-z\d]+)(?:;[^;\s]+)*$/i;

/** Reads one MSRP URI. Throws `CPM_MSRP_URI` (400) where it is none (RFC 4975 §9). */
export function parseMsrpUri(text: string): MsrpUri {
  const match = text.length <= 2048 ? pattern.exec(text) : null;
  const [, scheme = '', host = '', port, sessionId, transport = ''] = match ?? [];
  if (!match || Number(port ?? 0) > 65_535) throw new CpmError('CPM_MSRP_URI', 400, 'this is no MSRP URI');
  return {
    secure: scheme.toLowerCase() === 'msrps',
    host: host.startsWith('[') ? host.slice(1, -1) : host,
    port: port === undefined ? undefined : Number(port),
    sessionId: sessionId === '' ? undefined : sessionId,
    transport: transport.toLowerCase(),
  };
}

/** Writes an MSRP URI, IPv6 addresses in brackets. */
export function formatMsrpUri(uri: MsrpUri): string {
  const host = uri.host.includes(':') ? `[${uri.host}]` : uri.host;
  const port = uri.port === undefined ? '' : `:${uri.port}`;
  const session = uri.sessionId === undefined ? '' : `/${uri.sessionId}`;
  return `${uri.secure ? 'msrps' : 'msrp'}://${host}${port}${session};${uri.transport}`;
}

/** Whether two URIs name the same session (RFC 4975 §6.1): session-ids compare with case, hosts and transports without; user and parameters are ignored. */
export function sameMsrpUri(one: MsrpUri, other: MsrpUri): boolean {
  return (
    one.secure === other.secure &&
    one.host.toLowerCase() === other.host.toLowerCase() &&
    one.port === other.port &&
    one.sessionId === other.sessionId &&
    one.transport === other.transport
  );
}

const slash = 0x2f;
const semicolon = 0x3b;
const space = 0x20;

/**
 * The session-id of a path of exactly one URI, read from the octets of a To-Path without a closer look at the rest: what the relay does with
 * every frame. Undefined when there are several URIs, or no session-id.
 */
export function sessionIdOfPath(path: Uint8Array): string | undefined {
  let slashes = 0;
  let from = -1;
  let to = -1;
  for (let at = 0; at < path.length; at += 1) {
    const byte = path[at];
    if (byte === space) return undefined;
    if (byte === slash && from < 0) {
      slashes += 1;
      if (slashes === 3) from = at + 1;
    } else if (byte === semicolon && to < 0) to = at;
  }
  if (from < 0 || to <= from) return undefined;
  return Buffer.from(path.buffer, path.byteOffset + from, Math.min(to - from, 128)).toString('latin1');
}

/** The same of a path as text. */
export function leftmost(path: string): string {
  const end = path.indexOf(' ');
  return end < 0 ? path : path.slice(0, end);
}

/** The first URI of a path: the one that responses go to (RFC 4975 §7.2). */
export function leftmostUri(path: Buffer): Buffer {
  const end = path.indexOf(space);
  return end < 0 ? path : path.subarray(0, end);
}
