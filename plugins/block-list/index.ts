/** Keeps unwanted senders out: refused, or taken and thrown away without their noticing. */
import {addressMatcher, addressPattern, definePlugin, z} from 'drachtio-cpm';

const options = z.strictObject({
  senders: z.array(addressPattern).default([]).describe('Who is kept out, from everyone.'),
  users: z
    .array(
      z.strictObject({
        user: addressPattern.describe('A served user.'),
        senders: z.array(addressPattern).min(1).describe('Who is kept out from this user.'),
      }),
    )
    .default([])
    .describe('What single users do not want.'),
  action: z
    .enum(['refuse', 'swallow'])
    .default('refuse')
    .describe(
      '`refuse`: the inviter is told. `swallow`: he is accepted, no device rings, and what he writes is thrown away.',
    ),
  status: z.int().min(400).max(699).default(603).describe('SIP status of a refusal.'),
});

export default definePlugin({
  name: 'block-list',
  options,
  hooks({senders, users, action, status}) {
    const lists = [
      {isUser: () => true, isSender: addressMatcher(senders)},
      ...users.map((one) => ({isUser: addressMatcher([one.user]), isSender: addressMatcher(one.senders)})),
    ];
    const isBlocked = ({servedUser, sender}: {readonly servedUser: string; readonly sender: string}): boolean =>
      lists.some(({isUser, isSender}) => isUser(servedUser) && isSender(sender));
    const swallows = action === 'swallow';
    return {
      beforeAccept: (invitation) => (isBlocked(invitation) ? (swallows ? 'keep' : {refuse: status}) : undefined),
      beforeDefer: (message) => (isBlocked(message) ? (swallows ? 'discard' : {refuse: 403}) : undefined),
    };
  },
});
