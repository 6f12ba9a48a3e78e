import type {TestFn} from 'ava';
import type {Registration} from '../../lib/ports/registrations.ts';
import type {OpenStore} from './store-under-test.ts';

const bob: Registration = {
  servedUser: 'tel:+4915150000002',
  identities: ['tel:+4915150000002', 'sip:bob@ims.example'],
  contacts: [
    {
      id: '<urn:gsma:imei:90420156-025763-0>',
      uri: 'sip:bob@192.0.2.7:5060;transport=tcp',
      instance: '<urn:gsma:imei:90420156-025763-0>',
      publicGruu: 'sip:bob@ims.example;gr=urn:gsma:imei:90420156-025763-0',
      cpm: 'yes',
      userAgent: 'IM-client/OMA1.0 Grüße',
      expiresAt: 1_790_000_600_000,
    },
    {
      id: 'unknown',
      uri: undefined,
      instance: undefined,
      publicGruu: undefined,
      cpm: 'unknown',
      userAgent: undefined,
      expiresAt: 1_790_000_600_000,
    },
  ],
  servingNode: undefined,
  expiresAt: 1_790_000_600_000,
};

/** What every store of registrations does (lib/ports/registrations.ts). */
export function registrationsContract(test: TestFn, name: string, open: OpenStore): void {
  test(`8.3.2.9.1.2 T37: a registration comes out as it went in, absence too (${name})`, async (t) => {
    const {registrations} = (await open(t)).store;
    t.is(await registrations.get(bob.servedUser), undefined);
    await registrations.put(bob);
    t.deepEqual(await registrations.get(bob.servedUser), bob);
  });

  test(`8.3.2.9.1.2 T37: a new registration replaces contacts, saying it twice changes nothing (${name})`, async (t) => {
    const {registrations} = (await open(t)).store;
    await registrations.put(bob);
    const moved = {...bob, contacts: bob.contacts.slice(1), servingNode: 'sip:scscf.ims.example', expiresAt: 5};
    await registrations.put(moved);
    await registrations.put(moved);
    t.deepEqual(await registrations.get(bob.servedUser), moved);
  });

  test(`8.3.2.9.1.2 T36: every identity leads to the user, after de-registration too (${name})`, async (t) => {
    const {registrations} = (await open(t)).store;
    t.is(await registrations.servedUserOf('sip:bob@ims.example'), undefined);
    await registrations.put(bob);
    await registrations.put({...bob, identities: ['tel:+4915150000002', 'sip:robert@ims.example']});
    await registrations.remove(bob.servedUser);
    await registrations.remove(bob.servedUser);
    t.is(await registrations.get(bob.servedUser), undefined);
    for (const identity of ['tel:+4915150000002', 'sip:bob@ims.example', 'sip:robert@ims.example'])
      t.is(await registrations.servedUserOf(identity), bob.servedUser);
    t.is(await registrations.servedUserOf('sip:Bob@ims.example'), undefined);
    t.deepEqual([...(await registrations.identitiesOf(bob.servedUser))].sort(), [
      'sip:bob@ims.example',
      'sip:robert@ims.example',
      'tel:+4915150000002',
    ]);
    t.deepEqual(await registrations.identitiesOf('tel:+1'), []);
  });

  test(`8.3.2.9.1.2 T36: an identity that another user registers leads to him from then on (${name})`, async (t) => {
    const {registrations} = (await open(t)).store;
    await registrations.put(bob);
    await registrations.put({...bob, servedUser: 'tel:+49', identities: ['tel:+49', 'sip:bob@ims.example']});
    t.is(await registrations.servedUserOf('sip:bob@ims.example'), 'tel:+49');
    t.deepEqual(await registrations.identitiesOf(bob.servedUser), ['tel:+4915150000002']);
    t.deepEqual(await registrations.get(bob.servedUser), bob);
  });
}
