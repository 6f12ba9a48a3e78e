import test from 'ava';
import type {Lease, LeaseOwner, Leases} from '../../../lib/ports/leases.ts';
import {silentLog} from '../../../lib/ports/log.ts';
import {alone, type GiveWayAnswer, type GiveWayRequest} from '../../../lib/ports/peers.ts';
import {createUserLeases, type UserLease, type UserLeases} from '../../../lib/procedures/terminating/user-leases.ts';

const bob = 'tel:+15550102';
const alice = 'tel:+15550101';
const carol = 'tel:+15550103';

/** Leases of a store, whose time the test passes. */
function leaseStore() {
  let held: (Lease & {expiresAt: number}) | undefined;
  let now = 0;
  let token = 0;
  const running = () => (held !== undefined && held.expiresAt > now ? held : undefined);
  const leases: Pick<Leases, 'claim' | 'renew' | 'release' | 'holder'> = {
    claim(key, owner, milliseconds) {
      if (running() !== undefined) return Promise.resolve(undefined);
      token += 1;
      held = {key, owner, token: String(token), expiresAt: now + milliseconds};
      return Promise.resolve(held);
    },
    renew: () => Promise.resolve(true),
    release(lease) {
      if (held?.token === lease.token) held = undefined;
      return Promise.resolve();
    },
    holder: () => Promise.resolve(running()?.owner),
  };
  const pass = (milliseconds: number): void => {
    now += milliseconds;
  };
  return {leases, now: () => now, pass};
}

/** A node on the store; each pause passes its time at once. `ask` is what the others say. */
function node(
  name: string,
  {leases, now, pass}: ReturnType<typeof leaseStore>,
  ask: (owner: LeaseOwner, request: GiveWayRequest) => Promise<GiveWayAnswer> = async () => Promise.resolve('busy'),
): UserLeases {
  const context = {
    store: {leases},
    clock: {
      now,
      after: (milliseconds: number, fire: () => void) => {
        // Renewals stay away.
        const elapse = (): void => {
          pass(milliseconds);
          fire();
        };
        const handle = milliseconds === 10_000 ? undefined : setImmediate(elapse);
        return {
          cancel: () => {
            clearImmediate(handle);
          },
        };
      },
    },
    log: silentLog,
    policy: {node: name},
    peers: {...alone(), address: `http://${name}`, giveWay: ask},
  };
  return createUserLeases(() => context as never);
}

/** Work that goes on until its lease is to be given up, or the test ends it. */
function working(sender: string) {
  let end: () => void = () => undefined;
  let begin: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const work = async (lease: UserLease): Promise<'gave way' | 'ended'> => {
    lease.serve(sender);
    lease.onGiveWay = end;
    begin();
    await ended;
    return lease.givesWay ? 'gave way' : 'ended';
  };
  return {work, begun, end};
}

test('8.3.2.9.1.1 A17 T52: the node that hands over just these messages gives way, and the one that asked goes on', async (t) => {
  const store = leaseStore();
  const a = node('a', store);
  const asked: [LeaseOwner, string][] = [];
  const b = node('b', store, async (owner, request) => {
    asked.push([owner, request.sender]);
    return a.giveWay(request);
  });
  const {work, begun} = working(alice);
  const delivery = a.exclusive(bob, 5000, work);
  await begun;
  t.is(await b.exclusive(bob, 5000, () => Promise.resolve('mine'), alice), 'mine');
  t.is(await delivery, 'gave way');
  t.deepEqual(asked, [[{node: 'a', address: 'http://a'}, alice]]);
});

test('8.3.2.9.1.1 T36: who needs another sender’s messages waits, and disturbs nothing', async (t) => {
  const store = leaseStore();
  const a = node('a', store);
  const b = node('b', store, async (_, request) => a.giveWay(request));
  const {work, begun, end} = working(carol);
  const delivery = a.exclusive(bob, 5000, work);
  await begun;
  t.is(await b.exclusive(bob, 1000, () => Promise.resolve('mine'), alice), undefined);
  end();
  t.is(await delivery, 'ended');
  t.is(await b.exclusive(bob, 1000, () => Promise.resolve('mine'), alice), 'mine');
});

test('8.3.2.9.1.1 T36: between two senders whoever waits has his turn', async (t) => {
  const store = leaseStore();
  const a = node('a', store);
  const first = working(carol);
  const b = node('b', store, async (_, request) => {
    const answer = a.giveWay(request);
    first.end();
    return answer;
  });
  const delivery = a.exclusive(bob, 5000, async (lease) => {
    await first.work(lease);
    lease.serve(alice);
    return lease.held;
  });
  await first.begun;
  t.is(await b.exclusive(bob, 5000, () => Promise.resolve('mine'), alice), 'mine');
  t.false(await delivery);
});

test('8.3.2.9.1.1 T36: a request that needs nobody’s messages in particular asks nobody', async (t) => {
  const store = leaseStore();
  const a = node('a', store);
  const b = node('b', store, () => {
    t.fail();
    return Promise.resolve('busy');
  });
  const {work, begun, end} = working(alice);
  const delivery = a.exclusive(bob, 5000, work);
  await begun;
  t.is(await b.exclusive(bob, 1000, () => Promise.resolve('mine')), undefined);
  end();
  t.is(await delivery, 'ended');
});

test('8.3.2.9.1.1 T36: an owner who cannot be asked is waited for; when his lease has run out the other goes on', async (t) => {
  const store = leaseStore();
  await store.leases.claim(bob, {node: 'a', address: 'http://a'}, 3000);
  let asked = 0;
  const b = node('b', store, () => {
    asked += 1;
    return Promise.reject(new Error('nobody is there'));
  });
  t.is(await b.exclusive(bob, 1000, () => Promise.resolve('mine'), alice), undefined);
  t.is(await b.exclusive(bob, 5000, () => Promise.resolve('mine'), alice), 'mine');
  t.is(asked, 2);
});

test('8.3.2.9.1.1 T36: while an owner is silent his lease may run out, and nobody waits for his answer', async (t) => {
  const store = leaseStore();
  await store.leases.claim(bob, {node: 'a', address: 'http://a'}, 1000);
  const b = node('b', store, async () => new Promise(() => undefined));
  t.is(await b.exclusive(bob, 5000, () => Promise.resolve('mine'), alice), 'mine');
});

test('8.3.2.9.1.1 T36: an owner without an address, and an earlier life of this node, are waited for', async (t) => {
  for (const owner of [
    {node: 'a', address: undefined},
    {node: 'b', address: 'http://b'},
  ]) {
    const store = leaseStore();
    await store.leases.claim(bob, owner, 30_000);
    const b = node('b', store, () => {
      t.fail();
      return Promise.resolve('busy');
    });
    t.is(await b.exclusive(bob, 1000, () => Promise.resolve('mine'), alice), undefined);
  }
});

test('8.3.2.9.1.1 T36: asked about a user who is not served here, or no longer, a node says so at once', async (t) => {
  const a = node('a', leaseStore());
  const request = {servedUser: bob, sender: alice, milliseconds: 1000};
  t.is(await a.giveWay(request), 'free');
  await a.exclusive(bob, 1000, () => Promise.resolve());
  t.is(await a.giveWay(request), 'free');
});

test('8.3.2.9.1.1 A17: on one node, too, the delivery of just these messages gives way; the next in line goes on', async (t) => {
  const a = node('a', leaseStore());
  const {work, begun} = working(alice);
  const delivery = a.exclusive(bob, 5000, work);
  await begun;
  const idle = a.idle(bob, 60_000);
  t.is(await a.exclusive(bob, 5000, () => Promise.resolve('mine'), alice), 'mine');
  t.is(await delivery, 'gave way');
  t.true(await idle);
});

test('8.3.2.9.1.1 T36: who gives up waiting leaves the line as it was', async (t) => {
  const a = node('a', leaseStore());
  const {work, begun, end} = working(carol);
  const delivery = a.exclusive(bob, 5000, work);
  await begun;
  t.is(await a.exclusive(bob, 1000, () => Promise.resolve('mine'), alice), undefined);
  t.false(await a.idle(bob, 1000));
  end();
  t.is(await delivery, 'ended');
  t.true(await a.idle(bob, 1000));
});
