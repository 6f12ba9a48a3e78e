/** Whether a peer's certificate is the one that was announced (RFC 4975 §14, RFC 8122). */
import {createHash} from 'node:crypto';
import type {TLSSocket} from 'node:tls';
import {expectedFingerprints} from '../codecs/sdp-fingerprint.ts';

/** What a peer has shown in its handshake. */
export interface Proof {
  /** Its certificate, DER. */
  readonly certificate: Buffer | undefined;
  /** One of our authorities has signed it, and where we connected it is in the name that we connected to. */
  readonly signed: boolean;
}

export function proofOf(socket: TLSSocket): Proof {
  return {certificate: socket.getPeerX509Certificate()?.raw, signed: socket.authorized};
}

/**
 * Whether a certificate is the peer's: it fits the fingerprints of his description; where that has none that we can check, an authority of
 * ours has signed it.
 */
export function proves({certificate, signed}: Proof, fingerprints: readonly string[], hasAuthority: boolean): boolean {
  if (certificate === undefined) return false;
  const expected = expectedFingerprints(fingerprints);
  if (expected === undefined) return fingerprints.length === 0 && hasAuthority && signed;
  return expected.digests.includes(createHash(expected.hash.replace('-', '')).update(certificate).digest('hex'));
}
