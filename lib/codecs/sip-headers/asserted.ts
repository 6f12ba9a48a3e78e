/** What the trust domain asserts: identity (RFC 3325), service (RFC 6050), served user (RFC 5502). Believe them from configured peers only. */
import {splitOutside} from '../tokens.ts';
import {type NameAddr, formatNameAddr, parseNameAddr, parseNameAddrs} from './name-addr.ts';

/**
 * Reads P-Asserted-Identity: one or two values, at most one sip: or sips: and one tel: URI (RFC 3325 §9.1), in the order given.
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseAssertedIdentity(text: string): readonly NameAddr[] {
  return parseNameAddrs(text);
}

/** Writes P-Asserted-Identity from URIs. */
export function formatAssertedIdentity(...uris: readonly string[]): string {
  return uris.map((uri) => formatNameAddr({uri})).join(', ');
}

/** The services of a P-Asserted-Service header, raw: never quoted, never percent-encoded (RFC 6050 §4.1, TS 24.229 §7.2A.8.2). */
export function parseAssertedService(text: string): readonly string[] {
  return splitOutside(text, ',').filter((service) => /^urn:\S+$/i.test(service));
}

/** Whom the core invokes us for, and in which of his sessions. */
export interface ServedUser {
  readonly uri: string;
  readonly sessionCase: 'orig' | 'term' | undefined;
  readonly registrationState: 'reg' | 'unreg' | undefined;
}

/**
 * Reads P-Served-User (RFC 5502 §4): `<sip:user@home>; sescase=term; regstate=unreg`.
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseServedUser(text: string): ServedUser {
  const {uri, params} = parseNameAddr(text);
  const sessionCase = params.get('sescase')?.toLowerCase();
  const registrationState = params.get('regstate')?.toLowerCase();
  return {
    uri,
    sessionCase: sessionCase === 'orig' || sessionCase === 'term' ? sessionCase : undefined,
    registrationState: registrationState === 'reg' || registrationState === 'unreg' ? registrationState : undefined,
  };
}
