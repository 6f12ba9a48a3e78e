import type {SipRequestView} from '../../ports/sip.ts';

/**
 * Session-Expires for a 2xx (RFC 4028 §9): what the request offers, refreshed by its sender unless it says otherwise, with `Require: timer` where the
 * sender refreshes and knows timers. The server adds neither to an answer inside a dialog, and no Require to any.
 */
export function sessionTimer(request: SipRequestView): {'Session-Expires'?: string; Require?: string} {
  const offered = request.header('Session-Expires');
  const seconds = Number.parseInt(offered ?? '', 10);
  if (offered === undefined || Number.isNaN(seconds)) return {};
  const refresher = /;\s*refresher\s*=\s*(ua[cs])/i.exec(offered)?.[1]?.toLowerCase() ?? 'uac';
  const value = `${seconds};refresher=${refresher}`;
  const knowsTimers = /(^|[\s,])timer([\s,]|$)/i.test(request.header('Supported') ?? '');
  return {'Session-Expires': value, ...(refresher === 'uac' && knowsTimers ? {Require: 'timer'} : {})};
}

/** Who refreshes a session, and how often at least (RFC 4028). */
export interface SessionTimer {
  readonly seconds: number;
  readonly isOurs: boolean;
}

/** What the Session-Expires of a 2xx means to us; undefined where it has none. */
export function agreedTimer(value: string | undefined, weAre: 'uac' | 'uas'): SessionTimer | undefined {
  const seconds = Number.parseInt(value ?? '', 10);
  if (value === undefined || Number.isNaN(seconds)) return undefined;
  const refresher = /;\s*refresher\s*=\s*(ua[cs])/i.exec(value)?.[1]?.toLowerCase() ?? 'uac';
  return {seconds, isOurs: refresher === weAre};
}
