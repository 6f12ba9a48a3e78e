import {CONFERENCE_INFO_TYPE, parseConferenceInfo} from '../../codecs/conference-info.ts';
import {canonicalAddress} from '../../cpm/address.ts';
import {mergeNotification, newSubscription, type ConferenceState} from '../../cpm/conference-state.ts';
import {pause} from '../../ports/clock.ts';
import type {SipRequestView, Subscription} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {hopOf, ownCallIdPrefix} from '../terminating/delivery-invite.ts';
import type {Membership} from './membership.ts';

const subscriptionSeconds = 3600;
/** A subscription that the focus refused or ended while we stand in the group is asked for again, not before so long; the last one repeats. */
const againMilliseconds = [1000, 5000, 30_000];

/** The PF's own subscription to what happens in a group (RFC 4575): from joining the group until leaving it. */
export interface ConferenceEvents {
  /** SUBSCRIBE with Expires 0 (T39). Idempotent. */
  end(): Promise<void>;
}

/**
 * Keeps the latest participants, subject and icon of a group known: partial documents are merged, and after a gap the whole state is asked for.
 * @clause CPM-CF 8.3.2.9.1.2 C2 C9
 */
export function watchConference(
  context: Pick<Context, 'sip' | 'policy' | 'log' | 'clock' | 'ids'>,
  membership: Membership,
  onChange: (conference: ConferenceState, version: string) => void,
): ConferenceEvents {
  const {sip, log, clock, ids} = context;
  const where = {...membership.label, clause: 'RFC 4575 §4'};
  let subscription: Subscription | undefined;
  let ended = false;
  let failures = 0;
  const isOver = (): boolean => ended;

  async function subscribe(): Promise<void> {
    const {focus, memberAddress} = membership.record;
    const begun = await sip.subscribe({
      uri: focus,
      event: 'conference',
      expiresSeconds: subscriptionSeconds,
      headers: {
        'Call-ID': ownCallIdPrefix + ids.token(),
        Accept: CONFERENCE_INFO_TYPE,
        From: `<${memberAddress}>`,
        'P-Asserted-Identity': `<${memberAddress}>`,
      },
      ...hopOf(context, []),
    });
    if (isOver()) return begun.end();
    subscription = begun;
    const name = ids.token();
    const own = canonicalAddress(memberAddress);
    let known = newSubscription(membership.record.conference);
    let refreshing = false;
    begun.onEnd = (why) => {
      subscription = undefined;
      log.info({...where, why}, 'the subscription to a conference ended');
      again();
    };
    const refresh = async (): Promise<void> => {
      refreshing = true;
      await begun.refresh();
      refreshing = false;
    };
    begun.onNotify = (notify: SipRequestView) => {
      if (isOver() || notify.body.length === 0) return;
      failures = 0;
      try {
        const next = mergeNotification(known, parseConferenceInfo(notify.body), {
          isOwn: ({entity, yourOwn}) => yourOwn === true || canonicalAddress(entity) === own,
        });
        if (next === known) return;
        known = next;
        if (next.refreshNeeded && !refreshing) void refresh();
        onChange(next, `${name}-${next.version}`);
      } catch (error) {
        log.info({...where, error}, 'a conference document cannot be read and changes nothing');
      }
    };
  }

  function start(): void {
    subscribe().catch((error: unknown) => {
      log.info({...where, error}, 'the focus gives no conference event; the participants are those known before');
      again();
    });
  }

  function again(): void {
    const wait = againMilliseconds[Math.min(failures, againMilliseconds.length - 1)] ?? 0;
    failures += 1;
    void pause(clock, wait).then(() => {
      if (!isOver() && subscription === undefined) start();
    });
  }

  start();
  return {
    async end() {
      if (ended) return;
      ended = true;
      await subscription?.end();
    },
  };
}
