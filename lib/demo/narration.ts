/** What phones do, in the words of the ladder. */
import {headerOf, type SipMessage} from '../codecs/sip-message.ts';
import {cseqOf, parseNameAddr, tagOf} from '../embedded-drachtio/sip-values.ts';
import {readMessage} from '../phone/chat-messages.ts';
import type {SentMessage} from '../phone/ledger.ts';
import type {PhoneEvent} from '../phone/phone.ts';
import type {LadderEvent, Party} from './ladder.ts';

/** A phone in the ladder: whose it is, with whom it has its sessions, and which of several it is. */
export interface Teller {
  readonly party: 'Alice' | 'Bob';
  readonly peer: 'Focus' | 'PF';
  readonly device?: string | undefined;
}

/** Lines for what a phone did. Messages carry the number in which they were sent, which `known` counts. */
export function linesOf(
  {party, peer, device}: Teller,
  event: PhoneEvent,
  known: SentMessage[],
): readonly LadderEvent[] {
  const arrow = (protocol: 'SIP' | 'MSRP', direction: 'out' | 'in', said: string, with_: Party = peer): LadderEvent => {
    const [from, to]: [Party, Party] = direction === 'out' ? [party, with_] : [with_, party];
    return {event: 'message', protocol, from, to, text: device === undefined ? said : `${said} [${device}]`};
  };
  const number = (messageId: string): string => numberOf(messageId, known);

  if (event.kind === 'sip') {
    const text = sipText(event.message);
    const isRegistration = cseqOf(event.message)?.method === 'REGISTER';
    return text === undefined ? [] : [arrow('SIP', event.direction, text, isRegistration ? 'PF' : peer)];
  }
  if (event.kind === 'sent') {
    const {message} = event;
    if (!known.includes(message)) known.push(message);
    const outcome = message.outcomes.at(-1);
    if (outcome === undefined)
      return [arrow('MSRP', 'out', `SEND ${number(message.messageId)}, ${size(message.bytes)}`)];
    return [arrow('MSRP', 'in', `${outcome} for ${number(message.messageId)}`)];
  }
  if (event.kind === 'received') {
    const {messageId, bytes, chunks} = event.message;
    const pieces = chunks === 1 ? '' : ` in ${chunks} chunks`;
    return [arrow('MSRP', 'in', `SEND ${number(messageId)}, ${size(bytes)}${pieces}`)];
  }
  if (event.kind === 'group-state') {
    const {participants, removed} = event.message.state;
    const how = removed === true ? ', removed' : '';
    return [arrow('MSRP', 'in', `group state: ${participants.length} participants${how}`)];
  }
  const [notification, direction] =
    event.kind === 'notified' ? ([event.notification, 'in'] as const) : ([event, 'out'] as const);
  const protocol = notification.via === 'session' ? 'MSRP' : 'SIP';
  return [arrow(protocol, direction, `${notification.status} ${number(notification.messageId)}`)];
}

/** Lines for what a focus and the PF say to one another. */
export function focusLines(direction: 'out' | 'in', message: SipMessage): readonly LadderEvent[] {
  const text = sipText(message);
  return text === undefined ? [] : [beside('SIP', direction, text)];
}

/** A message that went through the switch of a focus, to the PF or from it; what the phones do not number is left out. */
export function switchedLines(
  direction: 'out' | 'in',
  {contentType, bytes}: {readonly contentType: string; readonly bytes: Buffer},
  known: readonly SentMessage[],
): readonly LadderEvent[] {
  const read = readMessage(contentType, bytes);
  if (read.kind === 'chat')
    return [beside('MSRP', direction, `SEND ${numberOf(read.messageId, known)}, ${size(bytes)}`)];
  if (read.kind !== 'notifications') return [];
  return read.notifications.map(({status, messageId}) =>
    beside('MSRP', direction, `${status} ${numberOf(messageId, known)}`),
  );
}

function beside(protocol: 'SIP' | 'MSRP', direction: 'out' | 'in', text: string): LadderEvent {
  const [from, to]: [Party, Party] = direction === 'out' ? ['Focus', 'PF'] : ['PF', 'Focus'];
  return {event: 'message', protocol, from, to, text};
}

const numberOf = (messageId: string, known: readonly SentMessage[]): string =>
  `#${known.findIndex((message) => message.messageId === messageId) + 1}`;

/** A SIP message in a few words; `undefined` for what a ladder leaves out: 100, ACK, and MESSAGE, which is told as the notification it carries. */
function sipText(message: SipMessage): string | undefined {
  const method = cseqOf(message)?.method ?? '';
  if (method === 'ACK' || method === 'MESSAGE') return undefined;
  if (message.kind === 'response') return message.status === 100 ? undefined : `${message.status} (${method})`;
  const asserted = headerOf(message, 'P-Asserted-Identity');
  if (method === 'INVITE' && tagOf(message, 'To') === undefined && asserted !== undefined) {
    const by = /sip:([^@;>]+)/.exec(parseNameAddr(asserted).uri)?.[1] ?? '?';
    return `INVITE by ${by.startsWith('conf-') ? 'the group' : by}`;
  }
  const [, cause, text] = /cause=(\d+)(?:;text="([^"]*)")?/.exec(headerOf(message, 'Reason') ?? '') ?? [];
  return cause === undefined ? method : `${method} (${cause} ${text ?? ''})`;
}

function size(bytes: Buffer): string {
  return bytes.length < 10_000 ? `${bytes.length} octets` : `${Math.round(bytes.length / 1024)} KB`;
}
