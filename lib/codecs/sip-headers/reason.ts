import {CpmError} from '../../errors.ts';
import {formatParams, type Params, parseParams, quote, splitOutside} from '../tokens.ts';

/** One value of a Reason header (RFC 3326 §2). */
export interface Reason {
  /** As written: `SIP`, `Q.850`, `preemption`; letter case does not count. */
  readonly protocol: string;
  readonly cause: number | undefined;
  readonly text: string | undefined;
  /** Parameters other than cause and text. */
  readonly params?: Params;
}

/**
 * Reads all values of a Reason header, several lines being joined by commas. Blanks, any order of parameters and a trailing semicolon are
 * accepted; what makes no sense is left out, since a peer's poor reason must not stop a BYE.
 */
export function parseReason(text: string): readonly Reason[] {
  return splitOutside(text, ',').flatMap((value): Reason[] => {
    const [protocol = '', ...rest] = splitOutside(value, ';');
    if (!/^[\w.!%*+`'~-]+$/.test(protocol)) return [];
    const params = new Map(parseParams(rest.join(';')));
    const cause = params.get('cause');
    const words = params.get('text');
    params.delete('cause');
    params.delete('text');
    return [
      {
        protocol,
        cause: cause !== undefined && /^[0-9]{1,9}$/.test(cause) ? Number(cause) : undefined,
        text: words,
        params,
      },
    ];
  });
}

/**
 * Writes `SIP;cause=200;text="Call completed"`.
 *
 * @throws CpmError `CPM_REASON` (500) when a protocol is no token.
 */
export function formatReason(...reasons: readonly Reason[]): string {
  return reasons
    .map(({protocol, cause, text, params = []}) => {
      if (!/^[\w.!%*+`'~-]+$/.test(protocol))
        throw new CpmError('CPM_REASON', 500, 'a Reason has a protocol that is no token');
      const words = text === undefined ? '' : `;text=${quote(text)}`;
      return `${protocol}${cause === undefined ? '' : `;cause=${cause}`}${words}${formatParams(params)}`;
    })
    .join(', ');
}

/**
 * What a Reason header says of SIP: its cause, `absent` when there is no header, `other` when a header is there that names no cause of
 * protocol SIP. Absent means 200 only in a BYE from the network (CPM-CF 8.3.2.3, step 2.a); `other` never does.
 */
export function sipCause(header: string | undefined): number | 'absent' | 'other' {
  if (header === undefined) return 'absent';
  const reasons = parseReason(header).filter(({protocol}) => protocol.toUpperCase() === 'SIP');
  return reasons.find(({cause}) => cause !== undefined)?.cause ?? 'other';
}
