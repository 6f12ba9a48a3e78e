/** RFC 4475 names why: what torments a parser has to be found, so the finder is tested with faults that are there. */
import test from 'ava';
import {parseCpim} from '../../lib/codecs/cpim.ts';
import {seededRandom} from '../support/random.ts';
import {fuzz, inTime, shrink} from './fuzzing.ts';
import {attack, promiseAlive, type LiveTarget} from './live.ts';
import {mutate} from './mutation.ts';
import {attempt, type Target} from './target.ts';

/** Takes the examples of CPIM, and cannot bear a header that comes twice. */
const faulty: Target = {
  name: 'cpim',
  clause: '',
  dictionary: [],
  check(input) {
    if (/^To:.*^To:/ms.test(input.toString('latin1'))) throw new TypeError('twice');
    return input.toString('latin1', 0, 4);
  },
};

test('RFC 4475 §3: a fault of a reader is found, and the input that shows it is made as small as it can be', (t) => {
  const {failure, inputs} = fuzz(faulty, 1, (count) => count < 5000);
  if (failure === undefined) return t.fail(`none of ${inputs} inputs showed it`);
  t.is(shrink(faulty, failure).input.toString('latin1'), 'To:\nTo:');
});

test('RFC 4475 §3: one seed makes the same inputs, another one others', (t) => {
  const made = (seed: number): string[] => {
    const random = seededRandom(seed);
    const pool = [Buffer.from('From: <sip:a@b>\r\nTo: <sip:c@d>\r\n\r\n')];
    return Array.from({length: 200}, () => mutate(random, {pool, dictionary: ['NS: ']}).toString('base64'));
  };
  t.deepEqual(made(1), made(1));
  t.notDeepEqual(made(1), made(2));
  t.true(new Set(made(1)).size > 150);
});

test('RFC 4475 §3: a reader may refuse with its own codes; another code, another error and a hang are faults', (t) => {
  const refused = () => parseCpim(Buffer.from('no header'));
  t.regex(attempt(refused, 'CPM_CPIM').refusal ?? '', /^CPM_CPIM /);
  t.throws(() => attempt(refused, 'CPM_MIME'), {code: 'CPM_CPIM'});
  const hang = (): never => {
    for (;;);
  };
  t.throws(() => inTime(hang, 50), {code: 'ERR_SCRIPT_EXECUTION_TIMEOUT'});
});

test('RFC 4475 §3: a process that dies of an input is seen, and of all inputs the one that kills it is named', async (t) => {
  const mortal: LiveTarget = {
    name: '',
    clause: '',
    examples: ['msrp-uri'],
    dictionary: [],
    start() {
      let alive = true;
      return Promise.resolve({
        send(input) {
          if (input.includes('65536')) alive = false;
          return Promise.resolve();
        },
        check: () => (alive ? Promise.resolve() : Promise.reject(new Error('it died'))),
        close: () => Promise.resolve(),
      });
    },
  };
  const {failure} = await attack(mortal, 1, () => false);
  t.is(failure?.input.toString(), 'msrp://a:65536/s;tcp');
  t.throws(() => {
    promiseAlive(undefined, 'it');
  });
  t.notThrows(() => {
    promiseAlive(process.pid, 'it');
  });
});
