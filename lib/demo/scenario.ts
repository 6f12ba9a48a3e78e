/**
 * What the demo plays. Bob's phone is off. Alice sends him five chat messages, one beyond ASCII, one of 200 KB. The PF is killed and started
 * again. Bob registers, and gets what waited; Alice gets the notifications. Then both are on line and chat live.
 */
import {once} from 'node:events';
import {headerOf, type SipMessage} from '../codecs/sip-message.ts';
import {cseqOf, parseNameAddr, tagOf} from '../embedded-drachtio/sip-values.ts';
import {startCore, type Core} from '../phone/core.ts';
import {account, added, type Account, type SentMessage} from '../phone/ledger.ts';
import {startPhone, type Phone, type PhoneEvent} from '../phone/phone.ts';
import type {LadderEvent, Party} from './ladder.ts';
import {freePort, startPf, type PfProcess} from './pf-process.ts';

const homeDomain = 'home.example';
const aliceAddress = `sip:+15550101@${homeDomain};user=phone`;
const bobAddress = `sip:+15550102@${homeDomain};user=phone`;

const texts: readonly string[] = [
  'Hi Bob, are you there?',
  'Grüße aus Zürich – こんにちは, Bob! 🎉',
  // 200 KB.
  'All of it: '.padEnd(200 * 1024, 'the quick brown fox jumps over the lazy dog. '),
  'Your phone seems to be off.',
  'Talk to you later.',
];

const firstLiveText = 'You are back!';
const liveTexts: readonly (readonly [from: 'Alice' | 'Bob', text: string])[] = [
  ['Bob', 'Yes, and everything is here.'],
  ['Alice', 'In order?'],
  ['Bob', 'In order, and once.'],
];

/** How long any one step may take: together they stay below the 30 seconds of the demo. */
const stepMilliseconds = 8000;

/**
 * Plays it, telling every line of the ladder, and gives the figures of both directions. Rejects when a step takes too long, or with the
 * reason of `signal` when it is aborted; whatever happens, everything that was started is ended then.
 */
export async function playScenario(
  folder: string,
  tell: (event: LadderEvent) => void,
  signal: AbortSignal,
): Promise<Account> {
  const closing: (() => Promise<unknown>)[] = [];
  const aborted = once(signal, 'abort').then((): never => {
    throw signal.reason;
  });
  aborted.catch(() => undefined);
  try {
    return await Promise.race([play(folder, tell, signal, closing), aborted]);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function play(
  folder: string,
  tell: (event: LadderEvent) => void,
  signal: AbortSignal,
  closing: (() => Promise<unknown>)[],
): Promise<Account> {
  const step = (text: string): void => {
    signal.throwIfAborted();
    tell({event: 'step', text});
  };
  const known: SentMessage[] = [];
  const phoneOf = async (party: 'Alice' | 'Bob', address: string): Promise<Phone> => {
    const trace = (event: PhoneEvent): void => {
      for (const line of linesOf(party, event, known)) tell(line);
    };
    const phone = await startPhone({core: core.uri, address, trace});
    closing.push(() => phone.close());
    return phone;
  };

  const core = await startCore();
  closing.push(() => core.close());
  const sipPort = await freePort();
  const settings = {folder, core: core.uri, homeDomain, sipPort};
  step('the Participating Function starts: embedded SIP server, relay sidecar, store');
  const startNext = async (): Promise<PfProcess> => {
    const starting = startPf(settings);
    closing.push(async () => starting.then((started) => started.stop(3000)).catch(() => undefined));
    return await starting;
  };
  let pf = await startNext();
  core.pf = `sip:127.0.0.1:${sipPort};transport=tcp`;

  const alice = await phoneOf('Alice', aliceAddress);
  const bob = await phoneOf('Bob', bobAddress);
  await register(core, alice);

  step("Bob's phone is off; Alice sends him five messages");
  const chat = await alice.startChat(bobAddress);
  for (const text of texts) await within(chat.sendText(text), 'a message of Alice is answered');

  step('the Participating Function is killed (SIGKILL), and started again');
  await pf.kill();
  pf = await startNext();
  const {reason} = await within(chat.ended, "Alice's chat is ended by the new process");
  step(`Alice's chat was ended: ${reason ?? 'no reason given'}`);

  step("Bob's phone is switched on");
  await register(core, bob);
  await bob.messages.atLeast(texts.length, undefined, stepMilliseconds);
  await notified(alice, texts.length);
  const deferred = await bob.sessions.first(({deferred: isDeferred}) => isDeferred, stepMilliseconds);
  await within(deferred.ended, 'the deferred session ends');

  step('both are on line, and chat');
  const live = await alice.startChat(bobAddress);
  // Where the PF is still busy with the delivery it takes the call for Bob, and rings him when there is a message.
  await within(live.sendText(firstLiveText), 'the first live message is answered');
  const answering = await bob.sessions.first((session) => !session.deferred && !session.call.over, stepMilliseconds);
  for (const [from, text] of liveTexts) {
    await within((from === 'Alice' ? live : answering).sendText(text), 'a live message is answered');
  }
  const [fromAlice, fromBob] = ['Alice', 'Bob'].map((name) => liveTexts.filter(([from]) => from === name).length);
  await notified(alice, texts.length + 1 + (fromAlice ?? 0));
  await notified(bob, fromBob ?? 0);
  await live.end('SIP;cause=200;text="Call completed"');
  await within(answering.ended, "Bob's side of the chat ends");

  const stopped = await pf.stop();
  if (stopped !== 0) throw new Error(`the Participating Function ended with ${stopped ?? 'a signal'} instead of 0`);
  return added(account(alice.sent.items, bob.messages.items), account(bob.sent.items, alice.messages.items));
}

async function register(core: Core, phone: Phone): Promise<void> {
  await phone.register();
  await core.told.first(({identity, status}) => identity === phone.address && status === 200, stepMilliseconds);
}

/** Waits until both notifications about so many messages came back. */
async function notified(phone: Phone, count: number): Promise<void> {
  const both = ({notified: came}: SentMessage): boolean => came.includes('delivered') && came.includes('displayed');
  await phone.sent.atLeast(count, both, stepMilliseconds);
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not within ${stepMilliseconds / 1000} s: ${what}`));
    }, stepMilliseconds);
  });
  return await Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}

/** What the ladder shows of what a phone did. Messages carry the number in which they were sent. */
function linesOf(party: 'Alice' | 'Bob', event: PhoneEvent, known: SentMessage[]): readonly LadderEvent[] {
  const arrow = (protocol: 'SIP' | 'MSRP', direction: 'out' | 'in', text: string): LadderEvent => {
    const [from, to]: [Party, Party] = direction === 'out' ? [party, 'PF'] : ['PF', party];
    return {event: 'message', protocol, from, to, text};
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
