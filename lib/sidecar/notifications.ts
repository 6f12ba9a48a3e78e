/** Notifications that pass by: the PF wants a copy of each, to know what reached the user (RFC 5438). */
import type {Transfer} from './transfer.ts';

/** A notification is small; beyond that nothing is looked at. */
const most = 64 * 1024;
/** The headers of a CPIM wrapper and of what it wraps end before. */
const headBytes = 4096;
const plus = 0x2b;

/** The octets of a relayed message if it is message/imdn+xml, bare or wrapped in CPIM; undefined otherwise. */
export function notificationIn(transfer: Transfer): Buffer | undefined {
  const {total} = transfer;
  if (total === undefined || total > most) return undefined;
  const type = transfer.contentType.toLowerCase();
  const bare = type.startsWith('message/imdn+xml');
  if (!bare && !type.startsWith('message/cpim')) return undefined;
  if (!bare && !wraps(transfer.spool.peek(headBytes))) return undefined;
  const bytes = transfer.spool.read(0, total);
  return bytes instanceof Promise ? undefined : bytes;
}

/** Most messages have nothing like a notification in them, which is seen without making a text of them. */
function wraps(head: Buffer): boolean {
  let at = head.indexOf(plus);
  for (let seen = 0; at >= 0 && seen < 16 && ((head[at - 1] ?? 0) | 0x20) !== 0x6e; seen += 1)
    at = head.indexOf(plus, at + 1);
  return at >= 0 && /content-type:[ \t]*message\/imdn\+xml/i.test(head.toString('latin1'));
}
