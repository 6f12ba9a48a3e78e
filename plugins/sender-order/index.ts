/** Whose messages a user gets first, when several people have written to him while he was away. */
import {addressMatcher, addressPattern, definePlugin, z} from 'drachtio-cpm';

const options = z.strictObject({
  first: z.array(addressPattern).default([]).describe('These come first, in this order.'),
  others: z
    .enum(['oldest', 'newest'])
    .default('oldest')
    .describe('Then all others, and those who share a place in the list: by the DateTime of the oldest that waits.'),
});

export default definePlugin({
  name: 'sender-order',
  options,
  hooks({first, others}) {
    const places = first.map((pattern) => addressMatcher([pattern]));
    const placeOf = (sender: string): number => {
      const place = places.findIndex((isSender) => isSender(sender));
      return place === -1 ? places.length : place;
    };
    const direction = others === 'oldest' ? 1 : -1;
    return {
      order: ({senders}) =>
        [...senders]
          .sort((a, b) => placeOf(a.sender) - placeOf(b.sender) || direction * (a.oldestDateTime - b.oldestDateTime))
          .map(({sender}) => sender),
    };
  },
});
