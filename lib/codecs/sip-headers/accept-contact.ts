import {type Params, parseParams, splitOutside} from '../tokens.ts';
import {type Features, formatFeatures, hasIcsi} from './features.ts';

/** One predicate of Accept-Contact (RFC 3841 §9.2). */
export interface AcceptContact {
  /** Feature parameters, `require` and `explicit` taken out. */
  readonly features: Params;
  readonly require: boolean;
  readonly explicit: boolean;
}

/** Reads all predicates, several header lines being joined by commas. */
export function parseAcceptContact(text: string): readonly AcceptContact[] {
  return splitOutside(text, ',').map((value) => {
    const [, ...rest] = splitOutside(value, ';');
    const features = new Map(parseParams(rest.join(';')));
    const [require, explicit] = [features.delete('require'), features.delete('explicit')];
    return {features, require, explicit};
  });
}

/** Writes one predicate: `*;+g.3gpp.icsi-ref="…"`, with `;require;explicit` where other devices must be kept out (RFC 3841 §7.2.4). */
export function formatAcceptContact(features: Features, options: {readonly requireExplicit?: boolean} = {}): string {
  return `*${formatFeatures(features)}${options.requireExplicit === true ? ';require;explicit' : ''}`;
}

/** Whether an Accept-Contact header asks for a service (raw ICSI) or a special case of it. */
export function asksForIcsi(header: string | undefined, icsi: string): boolean {
  return header !== undefined && parseAcceptContact(header).some(({features}) => hasIcsi(features, icsi));
}
