import {z} from 'zod';
import {addressPattern} from '../hooks/address-pattern.ts';
import {finalStatus, regularExpression, sipUri, whole} from './values.ts';

const day = 86_400;

const refusal = z.enum(['refuse', 'defer']);

const refusalPolicy = z
  .object({
    486: refusal.default('defer').describe('Busy here.'),
    488: refusal.default('refuse').describe('Not acceptable here.'),
    606: refusal.default('refuse').describe('Not acceptable.'),
  })
  .catchall(refusal)
  .superRefine((table, context) => {
    for (const status of Object.keys(table)) {
      if (/^\d+$/.test(status) && finalStatus.safeParse(Number(status)).success) continue;
      context.addIssue({code: 'custom', path: [status], message: 'a status from 300 to 699 as key'});
    }
  })
  .prefault({})
  .describe(
    "What a device's final answer does to the inviter: `refuse` hands it back, `defer` accepts and keeps his messages. " +
      'Any status may be added; those not named defer. Fixed: 603 refuses; 408, 480, 5xx and silence defer.',
  );

const deliveryProfile = z.strictObject({
  userAgent: regularExpression.describe('The User-Agent with which the client registered, in any letter case.'),
  sendonly: z
    .boolean()
    .default(false)
    .describe(
      '`a=sendonly` in the offer, by which some clients know a delivery; their notifications come by SIP MESSAGE.',
    ),
  firstMessageInInvite: z
    .boolean()
    .default(false)
    .describe('The first message, if it is short, rides in the INVITE, as multipart/mixed beside the offer.'),
});

/** Section `cpm`: policies of the procedures. */
export const cpm = z
  .strictObject({
    deferredMsgMgmtUri: sipUri
      .optional()
      .describe(
        'P-Asserted-Identity of deliveries; unset: sip:rcse-standfw@ and the home domain. Phones look for that user part.',
      ),
    originatingSessions: z
      .enum(['proxy', 'b2bua'])
      .default('proxy')
      .describe(
        '1-1 sessions that served users begin: `proxy` lets them pass, record-routed, media past the PF; `b2bua` joins two legs, as their recording needs, unless the side of the one called does so here (8.2.2).',
      ),
    terminatingSessions: z
      .enum(['b2bua', 'proxy'])
      .default('b2bua')
      .describe(
        'Sessions to served users, of groups too: `b2bua` joins two legs, so that what a device loses is kept; `proxy` lets the INVITE itself go on, record-routed, media past the PF, and accepts where no device does (8.3.2.3).',
      ),
    groupData: z
      .boolean()
      .default(false)
      .describe(
        'Whether members may change subject and icon of a group: then its Group State Objects have them, and its INVITEs the latest Subject.',
      ),
    groupStateDialect: z
      .enum(['2.1', '2.2'])
      .default('2.1')
      .describe(
        'How a stored Group State Object says that a group is over for its user: `2.1` as the change request has it, `2.2` as CPM Message Storage 2.2, which clients of that release read.',
      ),
    conferenceFactory: sipUri
      .optional()
      .describe('Where a group is started again (8.2.2.7); unset: at the focus that it had.'),
    refusalPolicy,
    deferStopsDelivery: z
      .array(finalStatus)
      .default([480])
      .describe('Answers to a delivery INVITE that end it for all senders; others only skip the sender (8.3.2.9.1.1).'),
    notAdmitted: z
      .enum(['keep', 'fail'])
      .default('keep')
      .describe(
        "A message that the client's answer does not admit (type, size): `keep` offers it again, to another device perhaps; `fail` tells its sender.",
      ),
    deliveryRetrySeconds: z
      .array(whole(1, day))
      .min(1)
      .default([60, 300, 900, 3600])
      .describe('Waits between delivery attempts while the user stays registered; the last one repeats.'),
    deliveryRetryJitter: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('How much longer such a wait may become by chance, as a part of it.'),
    deliveryRetries: whole(0, 10_000)
      .default(100)
      .describe('So many retries; what did not go through then is parked until the next registration or start.'),
    deliveryRetryAgeSeconds: whole(1, 365 * day)
      .default(day)
      .describe('How long after the first failure a retry may come; then it is parked, too.'),
    longestRetryAfterSeconds: whole(0, 30 * day)
      .default(3600)
      .describe('No retry comes before the Retry-After of an answer, up to this long.'),
    notificationTransport: z
      .enum(['session', 'message'])
      .default('session')
      .describe(
        'How notifications that wait reach the sender of a message: `session`: in one with their author, running or deferred, else by SIP MESSAGE; `message`: always so.',
      ),
    notificationWaitSeconds: whole(0, 20)
      .default(1)
      .describe('How long the BYE of a delivery waits, after the last 200, for the delivery notifications.'),
    imdnUnknown: z
      .enum(['trust', 'distrust'])
      .default('trust')
      .describe(
        'A client whose answer has no a=accept-wrapped-types: `trust` awaits its delivery notifications, `distrust` makes them for it (8.3.2.9.1.1).',
      ),
    userAgentsWithoutImdn: z
      .array(regularExpression)
      .default([])
      .describe(
        'Regular expressions, in any letter case: clients with such a User-Agent report on nothing; the PF notifies their senders of the delivery.',
      ),
    deliveryProfiles: z
      .array(deliveryProfile)
      .default([])
      .meta({example: {userAgent: '^Old-client/1', firstMessageInInvite: true}})
      .describe('Clients to whom deliveries have to be made in another way; the first one that fits counts.'),
    concurrentDeliveries: whole(1, 10_000)
      .default(64)
      .describe('Deliveries that run at a time on this node, and come-backs into groups.'),
    deferredRetentionSeconds: whole(1, 3650 * day)
      .default(30 * day)
      .describe('How long a message waits before it expires.'),
    sentReofferSeconds: whole(1, 30 * day)
      .default(60)
      .describe('Age at which a message sent but not confirmed is offered again, at the next registration.'),
    settledRetentionSeconds: whole(60, 365 * day)
      .default(7 * day)
      .describe('How long the identity of a delivered message is remembered against repetitions.'),
    recording: z
      .array(addressPattern)
      .default([])
      .meta({example: 'tel:+1555*'})
      .describe(
        'Users whose sessions are recorded whatever they allow themselves; `*` stands for anything, alone for everyone (8.5.2).',
      ),
    recordedRetentionSeconds: whole(0, 3650 * day)
      .default(365 * day)
      .describe(
        'How long what is recorded of sessions is kept, and what is known of a group that is over; 0: until their user is erased.',
      ),
    expirySweepSeconds: whole(1, day).default(60).describe('How often expired messages are looked for.'),
    maxPagerMessageBytes: whole(1300, 2 ** 20)
      .default(65_536)
      .describe('Largest standalone message (SIP MESSAGE) that is kept for a user who is off; larger ones get 413.'),
    maxMessageBytes: whole(1024, 2 ** 30)
      .default(10 * 2 ** 20)
      .describe('Largest message (a=max-size); larger ones get 413.'),
  })
  .prefault({})
  .describe('Policies of the Participating Function (CPM Conversation Functions).');
