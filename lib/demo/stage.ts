/** What every scenario plays on: the core, the PF as a process, phones whose doings are told, and patience that ends. */
import {execFile} from 'node:child_process';
import {once} from 'node:events';
import {promisify} from 'node:util';
import {headerOf, type SipMessage} from '../codecs/sip-message.ts';
import {keyOf} from '../controlling-function/conference.ts';
import {
  startControllingFunction,
  type ControllingFunction,
  type ControllingFunctionOptions,
} from '../controlling-function/controlling-function.ts';
import {startCore, type Core} from '../phone/core.ts';
import {isNotified, type Account, type SentMessage} from '../phone/ledger.ts';
import {startPhone, type Phone, type PhoneOptions} from '../phone/phone.ts';
import {twoPhones, type LadderEvent, type Party} from './ladder.ts';
import {focusLines, linesOf, switchedLines} from './narration.ts';
import {cli, freePort, startPf, type PfProcess} from './pf-process.ts';

const homeDomain = 'home.example';
const addresses = {Alice: `sip:+15550101@${homeDomain};user=phone`, Bob: `sip:+15550102@${homeDomain};user=phone`};
export const bobAddress = addresses.Bob;

/** How long any one step may take: together they stay below the 30 seconds of the demo. */
const stepMilliseconds = 8000;

export interface Stage {
  /** Says what happens beside the messages. Throws when the demo was interrupted. */
  step(text: string): void;
  /** A phone of one of the two; `device` tells several of one person apart. */
  phone(party: 'Alice' | 'Bob', options?: Partial<PhoneOptions>, device?: string): Promise<Phone>;
  /** REGISTER, and the wait until the PF has answered the core's word about it. */
  register(phone: Phone): Promise<void>;
  /** Starts the controlling function of groups. */
  controllingFunction(options?: Pick<ControllingFunctionOptions, 'keepsForAbsent'>): Promise<ControllingFunction>;
  /** Lets the operator give a `cpm-pf` command about the PF, and gives what it prints. */
  operator(...args: readonly string[]): Promise<string>;
  /** SIGKILL to the PF, and another one in its place. */
  crash(): Promise<void>;
  /** Sends texts one after another, each one answered before the next. */
  say(chat: {sendText(text: string): Promise<SentMessage>}, texts: readonly string[]): Promise<void>;
  /** Waits until so many messages came. */
  heard(phone: Phone, count: number): Promise<void>;
  /** Waits until these notifications about so many messages came back. */
  notified(phone: Phone, count: number, kinds?: readonly string[]): Promise<void>;
  /** Waits for something, with a sentence for when it takes too long. */
  within<T>(promise: Promise<T>, what: string): Promise<T>;
}

/** A story with an end that can be counted. */
export interface Scenario {
  readonly name: string;
  /** One line, for `--list`. */
  readonly title: string;
  /** Who stands in its ladder; default `twoPhones`. */
  readonly parties?: readonly Party[];
  /** Sections of the PF's configuration beside what the demo needs. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Plays it, and gives the figures of the phones. */
  play(stage: Stage): Promise<Account>;
}

/**
 * Plays a scenario, telling every line of the ladder, and gives its figures. Rejects when a step takes too long, or with the reason of `signal` when
 * it is aborted; whatever happens, everything that was started is ended then.
 */
export async function playScenario(
  scenario: Scenario,
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
    return await Promise.race([perform(scenario, folder, tell, signal, closing), aborted]);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function perform(
  scenario: Scenario,
  folder: string,
  tell: (event: LadderEvent) => void,
  signal: AbortSignal,
  closing: (() => Promise<unknown>)[],
): Promise<Account> {
  const step = (text: string): void => {
    signal.throwIfAborted();
    tell({event: 'step', text});
  };
  const core = await startCore();
  closing.push(() => core.close());
  const sipPort = await freePort();
  const settings = {folder, core: core.uri, homeDomain, sipPort, more: scenario.config ?? {}};
  const startNext = async (): Promise<PfProcess> => {
    const starting = startPf(settings);
    closing.push(async () => starting.then((started) => started.stop(3000)).catch(() => undefined));
    return await starting;
  };
  step('the Participating Function starts: embedded SIP server, relay sidecar, store');
  let pf = await startNext();
  core.pf = `sip:127.0.0.1:${sipPort};transport=tcp`;

  const figures = await scenario.play({
    step,
    ...actions(core, tell, closing, scenario.parties ?? twoPhones),
    async operator(...args) {
      step(`$ cpm-pf ${args.join(' ')}`);
      const {stdout} = await promisify(execFile)(process.execPath, [cli, ...args, '--config', pf.config]);
      for (const text of stdout.trimEnd().split('\n')) tell({event: 'output', text});
      return stdout;
    },
    async crash() {
      step('the Participating Function is killed (SIGKILL), and started again');
      await pf.kill();
      pf = await startNext();
    },
  });
  const stopped = await pf.stop();
  if (stopped !== 0) throw new Error(`the Participating Function ended with ${stopped ?? 'a signal'} instead of 0`);
  return figures;
}

function actions(
  core: Core,
  tell: (event: LadderEvent) => void,
  closing: (() => Promise<unknown>)[],
  parties: readonly Party[],
): Omit<Stage, 'step' | 'crash' | 'operator'> {
  const known: SentMessage[] = [];
  const tellAll = (lines: readonly LadderEvent[]): void => {
    for (const line of lines) tell(line);
  };
  const isBobs = (message: SipMessage): boolean =>
    ['From', 'To'].some((name) => headerOf(message, name)?.includes(bobAddress) === true);
  return {
    async phone(party, options = {}, device) {
      const phone = await startPhone({
        core: core.uri,
        address: addresses[party],
        ...options,
        trace: (event) => {
          const peer = party === 'Alice' && parties.includes('Focus') ? 'Focus' : 'PF';
          tellAll(linesOf({party, peer, device}, event, known));
        },
      });
      closing.push(() => phone.close());
      return phone;
    },
    async register(phone) {
      const before = core.told.items.length;
      await phone.register();
      const isTold = ({identity, status}: (typeof core.told.items)[number]): boolean =>
        identity === phone.address && status === 200;
      const earlier = core.told.items.slice(0, before).filter(isTold).length;
      await core.told.atLeast(earlier + 1, isTold, stepMilliseconds);
    },
    async controllingFunction(options) {
      const focus = await startControllingFunction({
        core,
        ...options,
        trace: (direction, message) => {
          if (isBobs(message)) tellAll(focusLines(direction, message));
        },
      });
      focus.conferences.onPush = ({messages, taken}) => {
        messages.onPush = (message) => {
          if (message.from === keyOf(bobAddress)) tellAll(switchedLines('in', message, known));
        };
        taken.onPush = ({to, message}) => {
          if (to === keyOf(bobAddress)) tellAll(switchedLines('out', message, known));
        };
      };
      closing.push(() => focus.close());
      return focus;
    },
    async say(chat, texts) {
      for (const text of texts) await within(chat.sendText(text), 'a message is answered');
    },
    async heard(phone, count) {
      await phone.messages.atLeast(count, undefined, stepMilliseconds);
    },
    async notified(phone, count, kinds) {
      await phone.sent.atLeast(count, (message) => isNotified(message, kinds), stepMilliseconds);
    },
    within,
  };
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
