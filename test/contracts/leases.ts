import type {TestFn} from 'ava';
import type {OpenStore} from './store-under-test.ts';

const one = {node: 'pf-1', address: 'http://192.0.2.1:8080'};
const two = {node: 'pf-2', address: undefined};

/** What every store of leases does (lib/ports/leases.ts). */
export function leasesContract(test: TestFn, name: string, open: OpenStore): void {
  test(`8.3.2.9.1.1 T36: of fifty racing claims exactly one wins (${name})`, async (t) => {
    const {leases} = (await open(t)).store;
    const claims = await Promise.all(
      Array.from({length: 50}, (_, index) => leases.claim('bob', {node: `pf-${index}`, address: undefined}, 60_000)),
    );
    const won = claims.filter((lease) => lease !== undefined);
    t.is(won.length, 1);
    t.deepEqual(await leases.holder('bob'), won[0]?.owner);
  });

  test(`8.3.2.9.1.1 T36: a running lease is given to nobody else, nor twice to its owner (${name})`, async (t) => {
    const {leases} = (await open(t)).store;
    t.is(await leases.holder('bob'), undefined);
    const lease = await leases.claim('bob', one, 60_000);
    t.like(lease, {key: 'bob', owner: one});
    t.is(await leases.claim('bob', one, 60_000), undefined);
    t.is(await leases.claim('bob', two, 60_000), undefined);
    t.like(await leases.claim('carol', two, 60_000), {key: 'carol', owner: two});
    t.deepEqual(await leases.holder('bob'), one);
    t.deepEqual(await leases.holder('carol'), two);
  });

  test(`8.3.2.9.1.1 T36: a lease that ran out is taken over, and the old one is worth nothing (${name})`, async (t) => {
    const {store, ...time} = await open(t);
    const {leases} = store;
    const lost = await leases.claim('bob', one, 200);
    await time.letPass(400);
    t.is(await leases.holder('bob'), undefined);
    const taken = await leases.claim('bob', two, 60_000);
    if (lost === undefined || taken === undefined) return void t.fail('both claims hold in turn');
    t.not(taken.token, lost.token);
    t.false(await leases.renew(lost, 60_000));
    await leases.release(lost);
    t.deepEqual(await leases.holder('bob'), two);
    t.true(await leases.renew(taken, 60_000));
  });

  test(`8.3.2.9.1.1 T36: a lease that ran out is renewed as long as nobody took it (${name})`, async (t) => {
    const {store, ...time} = await open(t);
    const lease = await store.leases.claim('bob', one, 200);
    if (lease === undefined) return void t.fail('the claim holds');
    await time.letPass(400);
    t.true(await store.leases.renew(lease, 60_000));
    t.is(await store.leases.claim('bob', two, 60_000), undefined);
    t.deepEqual(await store.leases.holder('bob'), one);
  });

  test(`8.3.2.9.1.1 T36: a renewed lease outlives its first end (${name})`, async (t) => {
    const {store, ...time} = await open(t);
    const lease = await store.leases.claim('bob', one, 300);
    if (lease === undefined) return void t.fail('the claim holds');
    t.true(await store.leases.renew(lease, 60_000));
    await time.letPass(500);
    t.is(await store.leases.claim('bob', two, 60_000), undefined);
  });

  test(`8.3.2.9.1.1 T36: a lease given back is free at once, its token changes (${name})`, async (t) => {
    const {leases} = (await open(t)).store;
    const first = await leases.claim('bob', one, 60_000);
    if (first === undefined) return void t.fail('the claim holds');
    await leases.release(first);
    await leases.release(first);
    t.is(await leases.holder('bob'), undefined);
    t.false(await leases.renew(first, 60_000));
    const second = await leases.claim('bob', one, 60_000);
    t.not(second?.token, first.token);
    await leases.release(first);
    t.deepEqual(await leases.holder('bob'), one);
  });

  test(`8.3.2.9.1.1 T36: what an earlier life of a node held is dropped, no one else's (${name})`, async (t) => {
    const {leases} = (await open(t)).store;
    const lost = await leases.claim('bob', one, 60_000);
    await leases.claim('carol', one, 60_000);
    await leases.claim('dave', two, 60_000);
    t.is(await leases.releaseNode('pf-1'), 2);
    t.is(await leases.releaseNode('pf-1'), 0);
    t.is(await leases.holder('bob'), undefined);
    t.deepEqual(await leases.holder('dave'), two);
    t.false(lost !== undefined && (await leases.renew(lost, 60_000)));
  });
}
