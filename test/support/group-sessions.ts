import {invitedConference} from '../../lib/cpm/conference-state.ts';
import type {ConferenceState} from '../../lib/cpm/conference-state.ts';
import type {GroupSession} from '../../lib/cpm/group-session.ts';

/** A group as it is known after some notifications, with all that one may have in it. */
export const conference: ConferenceState = {
  version: 4_294_967_296,
  refreshNeeded: false,
  ended: false,
  description: {
    subject: 'Grüße \u{1f44b}',
    subjectChange: {participant: 'sip:alice@ims.example', timestamp: '2026-11-21T20:00:00.000Z'},
    icon: {file: 'icon@ims.example', participant: 'tel:+4915150000001'},
    maximumUserCount: 100,
  },
  status: {userCount: 2, active: true, locked: false},
  users: [
    {
      entity: 'sip:$set.a.b@ims.example;x="\\\u0000"',
      displayText: '.$\u{1f600}\u0001',
      roles: ['administrator'],
      endpoints: [
        {
          entity: 'sip:a@192.0.2.1',
          status: 'disconnected',
          disconnectionMethod: 'booted',
          disconnectionInfo: {when: '2026-11-21T20:01:00Z', reason: 'SIP;cause=410', by: 'sip:alice@ims.example'},
        },
        {status: 'connected', joiningMethod: 'dialed-out', joiningInfo: {}},
      ],
    },
    {entity: '__proto__', yourOwn: true, roles: [], endpoints: []},
  ],
  participants: [{entity: 'tel:+4915150000001', endpoints: []}],
};

export const newGroup = (more: Partial<GroupSession> = {}): GroupSession => ({
  servedUser: 'tel:+4915150000002',
  contributionId: 'Group1',
  conversationId: 'f81d4fae',
  standing: 'active',
  focus: 'sip:focus@cf.ims.example;transport=tcp;gr=1',
  memberAddress: 'sip:bob@ims.example',
  subject: undefined,
  offer: undefined,
  conference: invitedConference([{address: 'tel:+4915150000001', name: 'Alice'}]),
  node: 'pf-1',
  changedAt: 1000,
  ...more,
});
