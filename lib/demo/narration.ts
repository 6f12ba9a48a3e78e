/** What phones do, in the words of the ladder. */
import {headerOf, type SipMessage} from '../codecs/sip-message.ts';
import {cseqOf, parseNameAddr, tagOf} from '../embedded-drachtio/sip-values.ts';
import type {SentMessage} from '../phone/ledger.ts';
import type {PhoneEvent} from '../phone/phone.ts';
import type {LadderEvent, Party} from './ladder.ts';

/** Lines for what a phone did; `device` names one of several. Messages carry the number in which they were sent, which `known` counts. */
export function linesOf(
  party: 'Alice' | 'Bob',
  event: PhoneEvent,
  known: SentMessage[],
  device?: string,
): readonly LadderEvent[] {
  const arrow = (protocol: 'SIP' | 'MSRP', direction: 'out' | 'in', text: string): LadderEvent => {
    const [from, to]: [Party, Party] = direction === 'out' ? [party, 'PF'] : ['PF', party];
    return {event: 'message', protocol, from, to, text: device === undefined ? text : `${text} [${device}]`};
  };
  const number = (messageId: string): string => `#${known.findIndex((message) => message.messageId === messageId) + 1}`;

  if (event.kind === 'sip') {
    const text = sipText(event.message);
    return text === undefined ? [] : [arrow('SIP', event.direction, text)];
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

/** A SIP message in a few words; `undefined` for what a ladder leaves out: 100, ACK, and MESSAGE, which is told as the notification it carries. */
function sipText(message: SipMessage): string | undefined {
  const method = cseqOf(message)?.method ?? '';
  if (method === 'ACK' || method === 'MESSAGE') return undefined;
  if (message.kind === 'response') return message.status === 100 ? undefined : `${message.status} (${method})`;
  const asserted = headerOf(message, 'P-Asserted-Identity');
  if (method === 'INVITE' && tagOf(message, 'To') === undefined && asserted !== undefined) {
    return `INVITE by ${/sip:([^@;>]+)/.exec(parseNameAddr(asserted).uri)?.[1] ?? '?'}`;
  }
  const [, cause, text] = /cause=(\d+)(?:;text="([^"]*)")?/.exec(headerOf(message, 'Reason') ?? '') ?? [];
  return cause === undefined ? method : `${method} (${cause} ${text ?? ''})`;
}

function size(bytes: Buffer): string {
  return bytes.length < 10_000 ? `${bytes.length} octets` : `${Math.round(bytes.length / 1024)} KB`;
}
