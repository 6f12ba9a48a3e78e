import {CpmError} from '../../errors.ts';
import {parseParams} from '../tokens.ts';

/** Session-Expires (RFC 4028 §4). */
export interface SessionExpires {
  readonly seconds: number;
  readonly refresher: 'uac' | 'uas' | undefined;
}

/**
 * Reads Session-Expires: `1800;refresher=uac`.
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseSessionExpires(text: string): SessionExpires {
  const refresher = afterSeconds(text).get('refresher')?.toLowerCase();
  return {seconds: leadingSeconds(text), refresher: refresher === 'uac' || refresher === 'uas' ? refresher : undefined};
}

/** Writes Session-Expires. */
export function formatSessionExpires({seconds, refresher}: SessionExpires): string {
  return refresher === undefined ? String(seconds) : `${seconds};refresher=${refresher}`;
}

/**
 * Reads Min-SE in seconds (RFC 4028 §5).
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseMinSe(text: string): number {
  return leadingSeconds(text);
}

function leadingSeconds(text: string): number {
  const seconds = /^\s*([0-9]{1,10})\s*(?:;|$)/.exec(text)?.[1];
  if (seconds === undefined) throw new CpmError('CPM_HEADER', 400, 'a session timer has no seconds');
  return Number(seconds);
}

function afterSeconds(text: string): ReturnType<typeof parseParams> {
  const semicolon = text.indexOf(';');
  return parseParams(semicolon === -1 ? '' : text.slice(semicolon));
}
