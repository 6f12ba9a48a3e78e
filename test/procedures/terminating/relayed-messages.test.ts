import test from 'ava';
import type {OfferedMessage, OutgoingMessage, SendOutcome} from '../../../lib/ports/media-plane.ts';
import {notRelayed} from '../../../lib/procedures/terminating/relayed-messages.ts';

const offered = (more: Partial<OfferedMessage>): OfferedMessage => ({
  contentType: 'text/plain',
  bytes: Buffer.from('hello'),
  messageId: 'm1',
  why: 'undelivered',
  status: undefined,
  ...more,
});

function inviter(outcome: SendOutcome) {
  const sent: OutgoingMessage[] = [];
  const leg = {
    send: (message: OutgoingMessage) => {
      sent.push(message);
      return Promise.resolve(outcome);
    },
  };
  return {sent, session: {servedUser: 'bob', sender: 'alice', leg} as never};
}

const verdictOf = (session: never, message: OfferedMessage) => notRelayed({} as never, session, message);

test('8.3.2.1 E4: what was half relayed when the relaying ended goes to the inviter whole, while he is there', async (t) => {
  const {session, sent} = inviter({kind: 'answered', status: 200});
  t.is(await verdictOf(session, offered({})), 'accepted');
  t.deepEqual(sent[0]?.bytes, Buffer.from('hello'));
  const {session: gone} = inviter({kind: 'lost'});
  t.is(await verdictOf(gone, offered({})), 408);
});

test('8.3.2.1 E4: what the inviter refused is not sent to him again, and the client hears the reason it can act on', async (t) => {
  const {session, sent} = inviter({kind: 'answered', status: 200});
  t.is(await verdictOf(session, offered({status: 415})), 415);
  t.is(await verdictOf(session, offered({status: 481})), 408);
  t.is(sent.length, 0);
});
