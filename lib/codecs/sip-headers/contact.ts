import {type Features, formatFeatures} from './features.ts';
import {type NameAddr, formatNameAddr, parseNameAddrs} from './name-addr.ts';

/**
 * Reads a Contact header; features are in `params` (see features.ts). `Contact: *` names nobody and gives an empty list.
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseContacts(text: string): readonly NameAddr[] {
  return text.trim() === '*' ? [] : parseNameAddrs(text);
}

/** Writes a Contact with the PF's own URI and the features given (row A6: the sender's `+sip.instance`, never his URI). */
export function formatContact(uri: string, features: Features = {}): string {
  return `${formatNameAddr({uri})}${formatFeatures(features)}`;
}

/** Whether the contact is a conference focus (RFC 4579 §5.2). */
export function isFocus(contact: NameAddr): boolean {
  return contact.params.has('isfocus');
}
