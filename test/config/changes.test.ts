import test from 'ava';
import {changedKeys, isReloadable, withReloaded} from '../../lib/config/changes.ts';
import {parseConfig} from '../../lib/config/load.ts';

const config = (text: string) => parseConfig(text, '/etc/pf.yaml', {});

test('configuration: changed keys are named in full, a list is one value', (t) => {
  const before = config('sip: {trustedPeers: [192.0.2.1]}\ncpm: {refusalPolicy: {486: defer}}');
  const after = config(
    'sip: {trustedPeers: [192.0.2.1, 192.0.2.2], outboundProxy: "sip:core.example"}\ncpm: {refusalPolicy: {486: refuse, 500: refuse}}',
  );
  t.deepEqual(changedKeys(before, after), [
    'sip.trustedPeers',
    'sip.outboundProxy',
    'cpm.refusalPolicy.486',
    'cpm.refusalPolicy.500',
  ]);
  t.deepEqual(changedKeys(before, before), []);
});

test('configuration: a running PF takes policies, limits, served users and the log level; the rest stays as it was', (t) => {
  const running = config('node: {name: a}\nsip: {outboundProxy: "sip:old.example"}\nlog: {level: warn}');
  const next = config(
    'node: {name: b}\nsip: {homeDomain: new.example}\noverload: {sessions: 5}\nserved: {domains: [new.example]}\nlog: {level: debug}',
  );
  const inForce = withReloaded(running, next);
  t.like(inForce, {
    node: {name: 'a'},
    sip: {homeDomain: 'localhost'},
    overload: {sessions: 5},
    served: {domains: ['new.example']},
    log: {level: 'debug'},
  });
  // A key that is no longer there has no value any more.
  t.false('outboundProxy' in inForce.sip);
  t.deepEqual(
    changedKeys(inForce, next).filter((key) => isReloadable(key)),
    [],
  );
});
