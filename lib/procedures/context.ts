import type {GroupStateDialect} from '../codecs/group-state.ts';
import type {Hooks} from '../hooks/lifecycle.ts';
import type {Clock} from '../ports/clock.ts';
import type {DialogRecords} from '../ports/dialog-records.ts';
import type {Ids} from '../ports/ids.ts';
import type {Log} from '../ports/log.ts';
import type {MediaPlane} from '../ports/media-plane.ts';
import type {Peers} from '../ports/peers.ts';
import type {Random} from '../ports/random.ts';
import type {Sip} from '../ports/sip.ts';
import type {Store} from '../ports/store.ts';
import type {Groups} from './group/groups.ts';
import type {Overload} from './overload.ts';
import type {Recorder} from './storage/recorder.ts';
import type {ChatSessions} from './terminating/chat-sessions.ts';
import type {Deliveries} from './terminating/deliveries.ts';
import type {RetryPolicy} from './terminating/retry.ts';
import type {ServedUsers} from './registration/served-users.ts';

/** What an operator decides; every value comes from the configuration. Durations are milliseconds. */
/** How deliveries are made to clients of an older generation, known by the User-Agent of their REGISTER. */
export interface DeliveryProfile {
  readonly userAgent: RegExp;
  readonly sendonly: boolean;
  readonly firstMessageInInvite: boolean;
}

export interface Policy {
  readonly node: string;
  readonly homeDomain: string;
  /** CPMDeferredMsgMgmtURI (row A4). */
  readonly deferredMsgMgmtUri: string;
  /** Whether subject and icon of a group may be changed by its members: then they belong into its Group State Objects (T49). */
  readonly groupData: boolean;
  /** How a removal is written (B4). */
  readonly groupStateDialect: GroupStateDialect;
  /** Where a group is started again; undefined: at the focus that it had. */
  readonly conferenceFactory: string | undefined;
  /** Whether the PF has the media of sessions that its users begin, or lets them pass. */
  readonly originatingSessions: 'proxy' | 'b2bua';
  /** Whether the PF has the media of sessions to which users who are there are invited, or lets them pass (row B1). */
  readonly terminatingSessions: 'proxy' | 'b2bua';
  /** Next hop of what the PF originates where no Route is given. */
  readonly outboundProxy: string | undefined;
  /** Whether P-Asserted-* and P-Served-User of this address are believed. */
  readonly trusts: (address: string) => boolean;
  /** What marks requests behind cores that send no P-Served-User: user part of the topmost Route, or a parameter of it or of the Request-URI. */
  readonly originatingMarker: string;
  readonly terminatingMarker: string;
  /** How long a device may ring. */
  readonly inviteMilliseconds: number;
  /** How long the answer to a MESSAGE may take. */
  readonly messageMilliseconds: number;
  /** Latest answer to a BYE, whatever still goes on (8.3.2.3). */
  readonly byeAnswer: number;
  /** How long the network's BYE waits for the client's answer where a record is to be written before the 200. */
  readonly byeWait: number;
  /** How long a client may take to bind its MSRP session after its 200. */
  readonly bindMilliseconds: number;
  /** What a client's final refusal means: told to the inviter, or the PF accepts for the user. Others than those listed: `defer`. */
  readonly refusals: Readonly<Partial<Record<string, 'refuse' | 'defer'>>>;
  /** Refusals of a delivery INVITE that end the delivery for all senders (row A18). */
  readonly stopsDelivery: readonly number[];
  /** Whether a message that a client does not admit (type, size) has failed; otherwise it waits for another device. */
  readonly failsNotAdmitted: boolean;
  /** When a delivery that did not go through is tried again. */
  readonly retry: RetryPolicy;
  /** Whether notifications go in a session with the one they come from, where there is or will be one; otherwise always by SIP MESSAGE (row A20). */
  readonly notifiesInSession: boolean;
  /** Largest body of a SIP MESSAGE that is kept. */
  readonly maxPagerMessageBytes: number;
  /** How long the BYE of a delivery waits for notifications after the last 200. */
  readonly notificationWait: number;
  /** Deliveries that run at a time on this node. */
  readonly concurrentDeliveries: number;
  /** Whether a client that names no wrapped types at all reports on what it gets (row A19). */
  readonly trustsImdn: boolean;
  /** User-Agents of clients that do not report on what they get. */
  readonly withoutImdn: readonly RegExp[];
  readonly deliveryProfiles: readonly DeliveryProfile[];
  readonly deferredRetention: number;
  readonly sentReoffer: number;
  readonly settledRetention: number;
  /** How long what is recorded of sessions is kept; undefined: until somebody removes it. */
  readonly recordedRetention: number | undefined;
  /** Whether the operator records sessions of this user (8.5.2). */
  readonly records: (servedUser: string) => boolean;
  readonly maxMessageBytes: number;
  /** Offered in Session-Expires on the PF's own INVITEs, seconds; undefined: no session timer is asked for. */
  readonly sessionExpiresSeconds: number | undefined;
  /** Seconds for Retry-After of a 503. */
  readonly retryAfterSeconds: number;
  /** From where on new sessions are refused; 0: no limit. `eventLoopDelay` is milliseconds. */
  readonly limits: {readonly sessions: number; readonly pendingPerUser: number; readonly eventLoopDelay: number};
  /** Pauses between two looks for expired messages. */
  readonly expirySweep: number;
  /** Whether the PF subscribes to the reg event of those who register. */
  readonly regEvent: boolean;
}

/** Everything that a procedure may touch: ports, policy, and the PF's own tables of what is alive. */
export interface Context {
  readonly sip: Sip;
  readonly media: MediaPlane;
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly log: Log;
  readonly policy: Policy;
  readonly users: ServedUsers;
  readonly sessions: ChatSessions;
  readonly groups: Groups;
  readonly deliveries: Deliveries;
  readonly overload: Overload;
  /** What the operator's plugins have hooked into; empty without any. */
  readonly hooks: Hooks;
  /** Other nodes on the same store. */
  readonly peers: Peers;
  readonly recorder: Recorder;
  readonly dialogs: Pick<DialogRecords, 'record' | 'forget'>;
}
