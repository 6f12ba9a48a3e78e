/** A process that is the core and all phones of a benchmark. */
import type {Conference} from '../../lib/controlling-function/conference.ts';
import {startControllingFunction} from '../../lib/controlling-function/controlling-function.ts';
import {startCore, type Core} from '../../lib/phone/core.ts';
import {Sender} from '../msrp/sender.ts';
import {ringOfBodies} from '../msrp/frames.ts';
import {ownSeconds} from '../cpu.ts';
import {serve} from '../worker.ts';
import {startBenchPhone, type BenchPhone} from './bench-phone.ts';
import {chatMessages} from './messages.ts';

const contentType = 'message/cpim';
const served = (index: number): string => `sip:+1555${String(2_000_000 + index)}@home.example;user=phone`;
const author = (index: number): string => `sip:+1444${String(1_000_000 + index)}@elsewhere.example;user=phone`;

let core: Core | undefined;
/** Asks the PF how many messages it has ever kept. */
let accepted: () => Promise<number> = () => Promise.resolve(0);
const authors: BenchPhone[] = [];
const recipients: BenchPhone[] = [];
/** Messages, and users, are never used twice. */
let runs = 0;

function theCore(): Core {
  if (core === undefined) throw new Error('there is no core');
  return core;
}

/** Starts the core; gives its SIP URI. */
async function open(): Promise<string> {
  core = await startCore({cases: ['term'], timers: {t1Ms: 50}});
  return core.uri;
}

/** Where the core takes what is for served users. */
function aim(pf: string): void {
  theCore().pf = pf;
}

/** Where the PF says how it is. */
function watch(status: string): void {
  accepted = async () => {
    const {ledger} = (await (await fetch(status)).json()) as {readonly ledger: {readonly accepted: number}};
    return ledger.accepted;
  };
}

async function someAuthors(count: number, media: boolean): Promise<readonly BenchPhone[]> {
  while (authors.length < count) authors.push(await startBenchPhone(author(authors.length), theCore().uri, {media}));
  return authors.slice(0, count);
}

/** Sends so many, a window of them in flight at a time; resolves when all are answered. */
async function sendAll(sender: Sender, count: number, window: number): Promise<void> {
  await new Promise<void>((resolve) => {
    let left = count;
    let answered = 0;
    const more = (room: number) => {
      const next = Math.min(room, left);
      left -= next;
      sender.send(next);
    };
    sender.onAnswered = (answers) => {
      answered += answers;
      if (answered === count) resolve();
      else more(answers);
    };
    more(window);
  });
}

/** So many authors send for so long to recipients who are off; messages that got their 200, a second. */
async function defer(options: {
  readonly authors: number;
  readonly messages: number;
  readonly window: number;
}): Promise<number> {
  runs += 1;
  const sessions = await Promise.all(
    (await someAuthors(options.authors, true)).map(async (phone, index) => {
      const {call, session} = await phone.invite(served(1_000_000 + index));
      const sender = new Sender(session);
      await sender.connect();
      const bodies = chatMessages(`defer${runs}-${String(index).padStart(3, '0')}-`, options.messages);
      sender.shape(ringOfBodies(session, bodies, {open: false, contentType}));
      return {call, sender};
    }),
  );
  const begin = performance.now();
  await Promise.all(sessions.map(({sender}) => sendAll(sender, options.messages, options.window)));
  const seconds = (performance.now() - begin) / 1000;
  await Promise.all(
    sessions.map(async ({call, sender}) => {
      await call.bye();
      sender.close();
    }),
  );
  return (options.authors * options.messages) / seconds;
}

/** So many messages wait for somebody who comes; from the INVITE of the delivery to the last message, messages a second. */
async function deliver(count: number): Promise<number> {
  const {phone, address} = await newRecipient();
  const chat = await chatWith(address);
  await chat.send(count, 64);
  await chat.end();
  const end = phone.receives(count);
  await registered(phone);
  const rate = count / (((await end) - phone.invitedAt) / 1000);
  await phone.quiet();
  await phone.close();
  return rate;
}

/** The same messages to somebody who is there, in one session that is relayed; from the first SEND to the last message, messages a second. */
async function relay({count, window}: {readonly count: number; readonly window: number}): Promise<number> {
  const {phone, address} = await newRecipient();
  await registered(phone);
  const chat = await chatWith(address);
  // What is said before both ends are joined is kept first.
  for (let before = -1; before !== (await accepted());) {
    before = await accepted();
    await chat.send(1, 1);
  }
  await phone.receives(chat.sent);
  const end = phone.receives(chat.sent + count);
  const begin = performance.now();
  const before = await accepted();
  await chat.send(count, window);
  const rate = count / (((await end) - begin) / 1000);
  if (before !== (await accepted())) throw new Error('the live session was not relayed');
  await chat.end();
  await phone.close();
  return rate;
}

async function newRecipient(): Promise<{readonly phone: BenchPhone; readonly address: string}> {
  runs += 1;
  const address = served(runs);
  return {address, phone: await startBenchPhone(address, theCore().uri)};
}

interface Chat {
  /** Messages that were sent. */
  readonly sent: number;
  /** Sends so many, some in flight at a time; resolves when all are answered. */
  send(count: number, window: number): Promise<void>;
  end(): Promise<void>;
}

/** A session of the first author's. */
async function chatWith(to: string): Promise<Chat> {
  const [phone] = await someAuthors(1, true);
  if (phone === undefined) throw new Error('nobody speaks');
  const {call, session} = await phone.invite(to);
  const sender = new Sender(session);
  await sender.connect();
  let sent = 0;
  return {
    get sent() {
      return sent;
    },
    async send(count, window) {
      sent += count;
      sender.shape(ringOfBodies(session, chatMessages(`run${runs}-${sent}-`, count), {open: false, contentType}));
      await sendAll(sender, count, window);
    },
    async end() {
      await call.bye();
      sender.close();
    },
  };
}

/** Registers, and waits until the PF has answered the core's word about it. */
async function registered(phone: BenchPhone): Promise<void> {
  const {told} = theCore();
  const before = told.items.length;
  await phone.register();
  await told.atLeast(before + 1);
}

/** Recipients who are there, for `calls`; the PF is told of them. */
async function attend(count: number): Promise<void> {
  await someAuthors(count, false);
  for (let index = 0; index < count; index += 1) {
    const phone = await startBenchPhone(served(index), theCore().uri, {media: false});
    recipients.push(phone);
    await registered(phone);
  }
}

/** Each author calls his recipient and hangs up, again and again, for so long; calls a second. */
async function calls(seconds: number): Promise<number> {
  const begin = performance.now();
  let count = 0;
  await Promise.all(
    recipients.map(async (_, index) => {
      while (performance.now() < begin + seconds * 1000) {
        const {call} = (await authors[index]?.invite(served(index))) ?? {};
        const status = await call?.bye();
        if (status !== 200) throw new Error(`the BYE was answered ${status ?? 'by nobody'}`);
        count += 1;
      }
    }),
  );
  return count / ((performance.now() - begin) / 1000);
}

let conference: Conference | undefined;
const member = (index: number): string => `sip:+1555${String(7_000_000 + index)}@home.example;user=phone`;

/** A group of members who are off, in whose place the PF takes part, and of members who are there, whom nobody serves. */
async function beginGroup({off, there}: {readonly off: number; readonly there: number}): Promise<void> {
  const focus = await startControllingFunction({core: theCore(), timers: {t1Ms: 50}});
  const present = await Promise.all(
    Array.from({length: there}, async (_, index) => {
      const address = author(500_000 + index);
      await (await startBenchPhone(address, theCore().uri)).register();
      return address;
    }),
  );
  const absent = Array.from({length: off}, (_, index) => member(index));
  conference = await focus.create({members: [...absent, ...present]});
  const connected = [...conference.members.values()].filter(({media}) => media !== undefined).length;
  if (connected !== off + there) throw new Error(`${connected} of ${off + there} members are in the group`);
}

/** Says so much in the group; messages that a member, or the PF in his place, has stored a second, those of the others left out. */
async function sayInGroup(count: number): Promise<number> {
  if (conference === undefined) throw new Error('there is no group');
  const before = await accepted();
  const begin = performance.now();
  for (let index = 0; index < count; index += 1) conference.say(author(500_000), kilobyte);
  await conference.settled();
  const seconds = (performance.now() - begin) / 1000;
  return ((await accepted()) - before) / seconds;
}

const kilobyte = 'x'.repeat(700);

const services = {open, aim, watch, defer, deliver, relay, attend, calls, beginGroup, sayInGroup, cpu: ownSeconds};
export type PhoneServices = typeof services;
serve(services);
