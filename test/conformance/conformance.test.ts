import test from 'ava';
import {differencesFile, readDifferences, writeDifferences, type Hunk} from './differences.ts';
import {differencesOf, record, verify, versionOf} from './runner.ts';
import {scenarios} from './scenarios.ts';
import {own, real} from './servers.ts';

// Anything: the fixtures are recorded from a real server; without one, the list of differences is.
const recording = process.env['RECORD_CONFORMANCE'] !== undefined;
const only = new RegExp(process.env['SCENARIO'] ?? '');
const version = recording && real ? await versionOf() : '';
const differences = await readDifferences();
const found = new Map<string, readonly Hunk[]>(Object.entries(differences).map(([name, {hunks}]) => [name, hunks]));

for (const scenario of scenarios) {
  const {name, title, ownServer = false} = scenario;
  // A server that runs already is shared: its applications would take each other's requests.
  const run = own ? test : test.serial;
  const skipped = !only.test(name) || (!own && ownServer);
  (skipped ? run.skip : run)(`${title} (${name})`, async (t) => {
    t.timeout(180_000);
    const listed = real ? [] : (differences[name]?.hunks ?? []);
    if (!recording) await verify(t, scenario, listed);
    else if (real) await record(scenario, version);
    else found.set(name, await differencesOf(scenario, listed));
    t.pass();
  });
}

test('drachtio conformance: every listed difference has its scenario and its reason', (t) => {
  const names = scenarios.map(({name}) => name);
  t.is(new Set(names).size, names.length);
  for (const [name, {reason}] of Object.entries(differences)) {
    t.true(names.includes(name), `${name} in ${differencesFile}`);
    t.true(recording || reason.length > 20, `the reason of ${name} in ${differencesFile}`);
  }
});

if (recording && !real)
  test.after.always('the list of differences is written', () => writeDifferences(found, differences));
