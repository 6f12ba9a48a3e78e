/** a=fingerprint: which certificate a peer will show (RFC 8122 §5). */

/** Hash functions that we check, the one we trust most first; MD5 and MD2 are none (RFC 8122 §5.1). SHA-1 is what older phones write. */
const hashes = ['sha-512', 'sha-384', 'sha-256', 'sha-224', 'sha-1'] as const;
export type FingerprintHash = (typeof hashes)[number];

/** What a certificate's hash has to be one of. */
export interface ExpectedFingerprints {
  readonly hash: FingerprintHash;
  /** In lower-case hexadecimal digits, without colons. */
  readonly digests: readonly string[];
}

// fingerprint = hash-func SP 2UHEX *(":" 2UHEX); both parts are read without regard to case
const pattern = /^([\w-]+) +([0-9a-f]{2}(?::[0-9a-f]{2})+)$/i;

const digits: Readonly<Record<FingerprintHash, number>> = {
  'sha-512': 128,
  'sha-384': 96,
  'sha-256': 64,
  'sha-224': 56,
  'sha-1': 40,
};

/**
 * What to check of several a=fingerprint values: those of the hash function that we trust most among the ones given; the certificate must be
 * one of them (RFC 8122 §5). Undefined where none of them can be checked.
 */
export function expectedFingerprints(values: readonly string[]): ExpectedFingerprints | undefined {
  const read = values.flatMap((value) => {
    const [, name = '', octets = ''] = pattern.exec(value.trim()) ?? [];
    const hash = hashes.find((each) => each === name.toLowerCase());
    const digest = octets.toLowerCase().replaceAll(':', '');
    return hash !== undefined && digest.length === digits[hash] ? [{hash, digest}] : [];
  });
  const best = hashes.find((hash) => read.some((each) => each.hash === hash));
  if (best === undefined) return undefined;
  return {hash: best, digests: read.filter(({hash}) => hash === best).map(({digest}) => digest)};
}
