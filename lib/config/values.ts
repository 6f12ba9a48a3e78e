import {isIP, isIPv4} from 'node:net';
import {z} from 'zod';

/** The kinds of value that the sections of the configuration are made of. What a mistake is told to have expected stands in `expected`. */

/** A whole number; its unit is the end of the key's name. */
export const whole = (least: number, most: number) => z.int().min(least).max(most);

/** Where we listen; 0 takes a free port. */
export const listenPort = whole(0, 65535);

/** Where a peer listens. */
export const peerPort = whole(1, 65535);

export const text = z.string().min(1);

/** A path, read relative to the folder of the configuration file. */
export const file = text.meta({expected: 'a path', path: true});

export const host = z
  .string()
  .regex(/^(?:[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/)
  .meta({expected: 'a host name or an IP address without brackets'});

export const sipUri = z
  .string()
  .regex(/^sips?:[^\s<>"]+$/i)
  .meta({expected: 'a SIP URI without angle brackets'});

export const identity = z
  .string()
  .regex(/^(?:sips?|tel):[^\s<>"]+$/i)
  .meta({expected: 'a sip: or tel: URI without angle brackets'});

/** An IP address, or a range of them as ADDRESS/PREFIX. */
export const addressRange = z.string().refine(isAddressRange).meta({expected: 'an IP address or ADDRESS/PREFIX'});

export const loopback = z.string().refine(isLoopback).meta({expected: 'a loopback address'});

/** `host:port`, `[v6]:port`, or `unix:/PATH`. */
export const controlAddress = z
  .string()
  .regex(/^(?:unix:\/.+|(?:\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):\d{1,5})$/)
  .meta({expected: 'HOST:PORT or unix:/PATH'});

/** A JavaScript regular expression without its slashes. */
export const regularExpression = z.string().refine(isRegularExpression).meta({expected: 'a regular expression'});

/** An MSRP URI without a session. */
export const msrpUri = z
  .string()
  .regex(/^msrps?:\/\/(?:[^\s/:[\]]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?;tcp$/i)
  .meta({expected: 'an MSRP URI, msrp://HOST:PORT;tcp'});

/** An INVITE's final status that the refusal table may name. */
export const finalStatus = whole(300, 699);

/** Whether only this machine can reach the address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || address === 'localhost' || (isIPv4(address) && address.startsWith('127.'));
}

function isRegularExpression(pattern: string): boolean {
  try {
    new RegExp(pattern, 'i');
    return pattern !== '';
  } catch {
    return false;
  }
}

function isAddressRange(range: string): boolean {
  const [address = '', prefix, ...rest] = range.split('/');
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1;
  return (
    rest.length === 0 && bits > 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}
