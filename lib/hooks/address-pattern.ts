import {z} from 'zod';
import {canonicalAddress} from '../cpm/address.ts';

/** A `tel:` or `sip:` address; `*` in it stands for anything: `sip:*@spam.example`, `tel:+1900*`. For the options of plugins. */
export const addressPattern = z
  .string()
  .regex(/^(?:\*|(?:sips?|tel):[^\s<>"]+)$/i)
  .meta({expected: 'a sip: or tel: address, in which * stands for anything'});

/** Whether one of the patterns is that of a canonical address. Patterns without `*` mean the person, however his address is written. */
export function addressMatcher(patterns: readonly string[]): (address: string) => boolean {
  const exact = new Set(patterns.filter((one) => !one.includes('*')).map((one) => canonicalAddress(one) ?? one));
  const wild = patterns
    .filter((one) => one.includes('*'))
    .map((one) =>
      one
        .replace(/^sips:/i, 'sip:')
        .split('*')
        .map(literally)
        .join('.*'),
    )
    .map((source) => new RegExp(`^${source}$`, 'i'));
  return (address) => exact.has(address) || wild.some((pattern) => pattern.test(address));
}

const literally = (text: string): string => text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
