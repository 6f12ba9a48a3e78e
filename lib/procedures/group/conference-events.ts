import {CONFERENCE_INFO_TYPE, parseConferenceInfo} from '../../codecs/conference-info.ts';
import {canonicalAddress} from '../../cpm/address.ts';
import {mergeNotification, newSubscription, type ConferenceState} from '../../cpm/conference-state.ts';
import {CpmError} from '../../errors.ts';
import {pause} from '../../ports/clock.ts';
import type {SipRequestView, Subscription} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {hopOf, ownCallIdPrefix} from '../terminating/delivery-invite.ts';
import type {Membership} from './membership.ts';

const subscriptionSeconds = 3600;
/** A subscription that the focus refused or ended while we stand in the group is asked for again, not before so long after the last; the last pause repeats. */
const againMilliseconds = [1000, 5000, 30_000];
/** The last pause where the focus says that it gives none. */
const refusedMilliseconds = 3_600_000;
const refusals = [403, 404, 405, 406, 489, 501];

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
  let askedAt = 0;
  const isOver = (): boolean => ended;

  async function subscribe(): Promise<void> {
    const {focus, memberAddress} = membership.record;
    askedAt = clock.now();
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
      again(error instanceof CpmError && refusals.includes(error.status) ? refusedMilliseconds : undefined);
    });
  }

  function again(last = againMilliseconds.at(-1)): void {
    const wait = [...againMilliseconds.slice(0, -1), last][Math.min(failures, againMilliseconds.length - 1)] ?? 0;
    failures += 1;
    void pause(clock, Math.max(0, askedAt + wait - clock.now())).then(() => {
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
