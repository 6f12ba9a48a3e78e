import type {SipRequestView} from '../../ports/sip.ts';
import {isOwnUri} from './proxy-target.ts';

type Call = Pick<SipRequestView, 'callId' | 'header' | 'source'>;

/** What is known of an INVITE that went to the devices: where it came from first, and what they answered. */
interface Attempt {
  readonly source: SipRequestView['source'];
  readonly statuses: number[];
}

/**
 * INVITEs that went on to the devices with us as the last destination. A drachtio server hands the best answer back by itself; the only way to
 * have another word after the devices is to be asked as one of them.
 */
export interface Proxied {
  begin(invite: Call): {readonly refused: (status: number) => void; readonly end: () => void};
  /** The attempt that brings this INVITE back: its last hop is our own server. Another node's has no answers here. */
  returned(invite: Call, own: readonly string[]): Attempt | undefined;
}

export function createProxied(): Proxied {
  const attempts = new Map<string, Attempt>();
  const keyOf = (invite: Call): string =>
    `${invite.callId} ${/;\s*tag=([^;\s>]+)/i.exec(invite.header('From') ?? '')?.[1] ?? ''}`;
  return {
    begin(invite) {
      const key = keyOf(invite);
      const attempt: Attempt = {source: invite.source, statuses: []};
      attempts.set(key, attempt);
      return {
        refused: (status) => attempt.statuses.push(status),
        end: () => {
          if (attempts.get(key) === attempt) attempts.delete(key);
        },
      };
    },
    returned(invite, own) {
      const sentBy = /^\s*SIP\s*\/\s*2\.0\s*\/\s*\w+\s+([^;,\s]+)/i.exec(invite.header('Via') ?? '')?.[1] ?? '';
      if (!isOwnUri(`sip:${sentBy}`, own)) return undefined;
      return attempts.get(keyOf(invite)) ?? {source: invite.source, statuses: []};
    },
  };
}
