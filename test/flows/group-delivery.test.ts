/** CPM-CF 8.3.2.9.1.2: what a member missed of his groups is handed over. */
import test from 'ava';
import {parseResourceLists} from '../../lib/codecs/resource-lists.ts';
import {headerOf} from '../../lib/codecs/sip-message.ts';
import {account} from '../../lib/phone/ledger.ts';
import {multipartPart} from '../controlling-function/parts.ts';
import {carolAddress, daveAddress, groupDeployment, ids} from '../support/group-deployment.ts';

test.serial(
  '8.3.2.9.1.2 C1 C7: the PF stands in a group for a member who is off, and hands over what was said, in order',
  async (t) => {
    t.timeout(60_000);
    const {pf, begin, carol, dave} = await groupDeployment(t);
    const {carols, daves} = await begin();
    await pf.pf.log.first(({msg}) => msg === 'the PF stands in a group for its user');
    for (const text of ['one', 'two', 'x'.repeat(50_000), 'four']) await carols.sendText(text);
    await dave.messages.atLeast(4);
    await daves.sendText('five');
    await carol.messages.atLeast(1);
    await pf.pf.log.atLeast(5, ({msg}) => msg === 'a message is kept for a user who cannot take it now');
    const bob = await pf.bob();
    await pf.register(bob);
    await bob.messages.atLeast(5);
    t.like(account(carol.sent.items, bob.messages.items), {delivered: 4, identical: true, inOrder: true});
    t.deepEqual(
      bob.messages.items.map(({text}) => text.slice(0, 5)),
      ['one', 'two', 'xxxxx', 'four', 'five'],
    );

    const invite = await bob.requests.first(({method}) => method === 'INVITE');
    t.is(headerOf(invite, 'Conversation-ID'), ids.conversationId);
    t.is(headerOf(invite, 'Contribution-ID'), ids.contributionId);
    t.is(headerOf(invite, 'Subject'), 'Lunch');
    t.regex(headerOf(invite, 'Contact') ?? '', /;isfocus/);
    t.is(headerOf(invite, 'P-Asserted-Identity'), '<sip:rcse-standfw@home.example>');
    t.is(headerOf(invite, 'Referred-By'), undefined);
    t.is(headerOf(invite, 'Require'), undefined);
    const list = multipartPart(invite, 'application/resource-lists+xml');
    t.is(list?.disposition, 'recipient-list-history;handling=optional');
    t.deepEqual(
      parseResourceLists(list?.body ?? '')
        .map(({uri}) => uri)
        .sort(),
      [carolAddress, daveAddress],
    );
    t.is(bob.sessions.items.length, 1);

    // Joined with the living group: in both directions.
    const [bobs] = bob.sessions.items;
    await pf.pf.log.first(({msg}) => msg === 'a client is joined with his group');
    await carols.sendText('six');
    await bob.messages.first(({text}) => text === 'six');
    await bobs?.sendText('seven');
    await carol.messages.first(({text}) => text === 'seven');
    await dave.messages.first(({text}) => text === 'seven');
    t.is(bob.repetitions.items.length, 0);
  },
);
