/**
 * The points of a message's life at which an operator's plugins are asked or told (docs/plugins.md has them as a table). A *before*-hook is asked
 * and may refuse what is not accepted yet; an *after*-hook is told. Registration, BYE, release and expiry are facts: nobody is asked.
 */
import type {
  AcceptedView,
  ByeView,
  DeferredView,
  DeliveryView,
  InvitationView,
  InvitedView,
  MessageView,
  NotificationView,
  QueuedView,
  RegistrationView,
  ReleasedView,
  SendersView,
} from './views.ts';

/** A refusal of an invitation: its SIP status, 400 to 699. */
export interface InvitationRefusal {
  readonly refuse: number;
  /** Reason phrase. */
  readonly reason?: string;
}

/** A refusal of a message: the MSRP status that its sender gets (docs/acknowledgement.md). */
export interface MessageRefusal {
  readonly refuse: 400 | 403 | 408 | 413 | 415 | 481;
}

/** What is asked: what the hook sees, and what it may answer. Nothing, `undefined`, lets it be. */
export interface Decisions {
  /** `keep`: devices are not rung, the PF accepts for its user. */
  readonly beforeAccept: {readonly view: InvitationView; readonly answer: InvitationRefusal | 'keep'};
  /** `discard`: the sender gets his 200, and nothing is kept. */
  readonly beforeDefer: {readonly view: MessageView; readonly answer: MessageRefusal | 'discard'};
  /** `discard`: its author gets his 200, and nobody hears of it. `refuse`: he gets 408, and keeps it. */
  readonly beforeNotification: {readonly view: NotificationView; readonly answer: 'discard' | 'refuse'};
  /** `later`: everything from this sender stays queued until the next trigger. */
  readonly beforeInvite: {readonly view: DeliveryView; readonly answer: 'later'};
  /** `later`: this message, and those behind it, stay queued until the next trigger. */
  readonly beforeSend: {readonly view: QueuedView; readonly answer: 'later'};
}

/** What is told. */
export interface Events {
  readonly afterRegistration: RegistrationView;
  readonly afterAccept: AcceptedView;
  readonly afterDefer: DeferredView;
  readonly afterInvite: InvitedView;
  readonly afterNotification: NotificationView;
  readonly afterDelivered: ReleasedView;
  readonly afterExpired: ReleasedView;
  readonly afterFailed: ReleasedView;
  readonly afterBye: ByeView;
}

type Awaitable<T> = T | Promise<T>;

/** What a plugin hooks into; each may be left out. */
export type PluginHooks = {
  readonly [Name in keyof Decisions]?: (
    view: Decisions[Name]['view'],
  ) => Awaitable<Decisions[Name]['answer'] | undefined>;
} & {
  readonly [Name in keyof Events]?: (view: Events[Name]) => Awaitable<unknown>;
} & {
  /** Senders in the order in which their messages are to be delivered; those left out come last, as they stood. */
  readonly order?: (view: SendersView) => Awaitable<readonly string[] | undefined>;
  /** The PF ends. */
  readonly close?: () => Awaitable<unknown>;
  /** What the plugin keeps of users beyond the PF's own store, as an operator finds it: the path of a journal. */
  readonly retains?: string;
};

/** What the procedures call: only what a plugin has hooked into is there, so that a PF without plugins pays a branch. */
export type Hooks = {
  /** Resolves with what was decided; undefined lets it be. Never rejects. */
  readonly [Name in keyof Decisions]?: (
    view: Decisions[Name]['view'],
  ) => Promise<Decisions[Name]['answer'] | undefined>;
} & {
  /** Tells, and waits for nobody. Never throws. */
  readonly [Name in keyof Events]?: (view: Events[Name]) => void;
} & {
  /** Every sender once, in order. Never rejects. */
  readonly order?: (view: SendersView) => Promise<readonly string[]>;
};

/** Why a hook failed: it threw, was late, or answered what is no answer there. */
export type HookFailure = 'CPM_HOOK_FAILED' | 'CPM_HOOK_LATE' | 'CPM_HOOK_ANSWER';

type Rules = {
  readonly [Name in keyof Decisions]: {
    readonly understands: (answer: unknown) => boolean;
    /** Fails closed: refused where it is not accepted yet, queued where it is. */
    readonly onFailure: (why: HookFailure) => Decisions[Name]['answer'];
  };
};

/** How each decision is read, and what a failing hook makes of it. */
export const rules: Rules = {
  beforeAccept: {
    understands: (answer) =>
      answer === 'keep' || refuses(answer, (status) => Number.isInteger(status) && status >= 400 && status <= 699),
    onFailure: (why) => ({refuse: why === 'CPM_HOOK_LATE' ? 503 : 500}),
  },
  beforeDefer: {
    understands: (answer) => answer === 'discard' || refuses(answer, isMessageStatus),
    onFailure: () => ({refuse: 408}),
  },
  beforeNotification: {
    understands: (answer) => answer === 'discard' || answer === 'refuse',
    onFailure: () => 'refuse',
  },
  beforeInvite: {understands: (answer) => answer === 'later', onFailure: () => 'later'},
  beforeSend: {understands: (answer) => answer === 'later', onFailure: () => 'later'},
};

export const decisionNames = Object.keys(rules) as readonly (keyof Decisions)[];

const everyEvent: Readonly<Record<keyof Events, true>> = {
  afterRegistration: true,
  afterAccept: true,
  afterDefer: true,
  afterInvite: true,
  afterNotification: true,
  afterDelivered: true,
  afterExpired: true,
  afterFailed: true,
  afterBye: true,
};

export const eventNames = Object.keys(everyEvent) as readonly (keyof Events)[];

const isMessageStatus = (status: number): boolean => [400, 403, 408, 413, 415, 481].includes(status);

function refuses(answer: unknown, isStatus: (status: number) => boolean): boolean {
  if (typeof answer !== 'object' || answer === null || !('refuse' in answer)) return false;
  const {refuse, reason} = answer as {readonly refuse: unknown; readonly reason?: unknown};
  // A reason phrase is written into a status line.
  const isPhrase = reason === undefined || (typeof reason === 'string' && /^[^\r\n]*$/.test(reason));
  return typeof refuse === 'number' && isStatus(refuse) && isPhrase;
}
