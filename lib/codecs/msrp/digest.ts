/**
 * Digest authentication of AUTH towards a relay (RFC 4976 §9.1, RFC 2617 and RFC 7616): challenges read, answers calculated.
 * @clause RFC 4976 §9.1
 */
import {createHash} from 'node:crypto';

/** What a relay asks to prove knowledge of the password with. */
export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: 'MD5' | 'SHA-256';
  /** The credentials were right and the nonce too old. */
  readonly stale: boolean;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** One answer to a challenge. */
export interface Attempt {
  readonly credentials: Credentials;
  readonly challenge: Challenge;
  /** The rightmost URI of the request's To-Path. */
  readonly uri: string;
  /** Ours, fresh. */
  readonly cnonce: string;
  /** How often the nonce has been used, this time included. */
  readonly count: number;
}

/** Reads a WWW-Authenticate header; undefined where it is none that we can answer: Digest, qop `auth`, MD5 or SHA-256. */
export function parseChallenge(value: string): Challenge | undefined {
  const parameters = /^digest\s+/i.test(value) ? parametersOf(value.replace(/^digest\s+/i, '')) : undefined;
  const realm = parameters?.get('realm');
  const nonce = parameters?.get('nonce');
  const algorithm = (parameters?.get('algorithm') ?? 'MD5').toUpperCase();
  const qop = (parameters?.get('qop') ?? '').split(',').map((each) => each.trim().toLowerCase());
  if (realm === undefined || nonce === undefined || !qop.includes('auth')) return undefined;
  if (algorithm !== 'MD5' && algorithm !== 'SHA-256') return undefined;
  const stale = parameters?.get('stale')?.toLowerCase() === 'true';
  return {realm, nonce, opaque: parameters?.get('opaque'), algorithm, stale};
}

/** The value of the Authorization header. */
export function formatAuthorization(attempt: Attempt): string {
  const {credentials, challenge, uri, cnonce, count} = attempt;
  const parameters = [
    `username=${quoted(credentials.username)}`,
    `realm=${quoted(challenge.realm)}`,
    `nonce=${quoted(challenge.nonce)}`,
    // Always the To-Path's: relays that read SIP's digest want it said.
    `uri=${quoted(uri)}`,
    'qop=auth',
    `nc=${countText(count)}`,
    `cnonce=${quoted(cnonce)}`,
    `response=${quoted(responseOf(attempt, 'AUTH'))}`,
    `algorithm=${challenge.algorithm}`,
    ...(challenge.opaque === undefined ? [] : [`opaque=${quoted(challenge.opaque)}`]),
  ];
  return `Digest ${parameters.join(', ')}`;
}

/**
 * What an Authentication-Info header says (RFC 2617 §3.2.3): the nonce for the next time, and whether the relay has proved that it knows
 * the password, too; undefined where it says nothing of that.
 */
export function readAuthenticationInfo(
  value: string,
  attempt: Attempt,
): {readonly nextNonce: string | undefined; readonly isProven: boolean | undefined} {
  const parameters = parametersOf(value);
  const proof = parameters.get('rspauth');
  return {
    nextNonce: parameters.get('nextnonce'),
    isProven: proof === undefined ? undefined : proof.toLowerCase() === responseOf(attempt, ''),
  };
}

function responseOf({credentials, challenge, uri, cnonce, count}: Attempt, method: string): string {
  const {realm, nonce, algorithm} = challenge;
  const hash = (text: string) =>
    createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const secret = hash(`${credentials.username}:${realm}:${credentials.password}`);
  return hash(`${secret}:${nonce}:${countText(count)}:${cnonce}:auth:${hash(`${method}:${uri}`)}`);
}

const countText = (count: number): string => count.toString(16).padStart(8, '0');

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** `name=token, name="quoted"`; names in lower case, the first one of a name counts. */
function parametersOf(text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [, name = '', inQuotes, token] of text.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g)) {
    const value = inQuotes === undefined ? (token ?? '') : inQuotes.replace(/\\(.)/g, '$1');
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
  }
  return parameters;
}
