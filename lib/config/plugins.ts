import {z} from 'zod';
import {text, whole} from './values.ts';

/** Section `hooks`: how plugins are asked. */
export const hooks = z
  .strictObject({
    // With the next hop's 15 s and the store's 8 s an MSRP sender has his answer within 30 s.
    deadlineMilliseconds: whole(10, 5000)
      .default(2000)
      .describe('How long plugins may take for one decision, all together; a late one refuses, or postpones.'),
  })
  .prefault({})
  .describe('How plugins are asked (docs/plugins.md).');

/** List `plugins`: which ones, in the order in which they are asked. */
export const plugins = z
  .array(
    z.strictObject({
      use: text.describe('One that comes with the package, another package, or a module as ./PATH.'),
      options: z
        .record(z.string(), z.unknown())
        .default({})
        .meta({expected: 'a section'})
        .describe('As its README says.'),
    }),
  )
  .default([])
  .meta({example: {use: 'block-list', options: {senders: ['sip:*@spam.example']}}})
  .describe('Policies of your own, asked in this order (docs/plugins.md).');
