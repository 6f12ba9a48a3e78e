/** Notifications that pass by: the PF wants a copy of each, to know what reached the user (RFC 5438). */
import type {Transfer} from './transfer.ts';

/** A notification is small; beyond that nothing is looked at. */
const most = 64 * 1024;
/** The headers of a CPIM wrapper and of what it wraps end before. */
const headBytes = 4096;

/** The octets of a relayed message if it is message/imdn+xml, bare or wrapped in CPIM; undefined otherwise. */
export function notificationIn(transfer: Transfer): Buffer | undefined {
  const {total} = transfer;
  if (total === undefined || total > most) return undefined;
  const type = transfer.contentType.toLowerCase();
  const bare = type.startsWith('message/imdn+xml');
  if (!bare && !type.startsWith('message/cpim')) return undefined;
  const bytes = transfer.spool.read(0, total);
  if (bytes instanceof Promise) return undefined;
  if (bare) return bytes;
  return /content-type:[ \t]*message\/imdn\+xml/i.test(bytes.toString('latin1', 0, headBytes)) ? bytes : undefined;
}
