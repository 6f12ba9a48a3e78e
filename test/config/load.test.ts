import {readFileSync} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {stringify} from 'yaml';
import {loadConfig, parseConfig} from '../../lib/config/load.ts';
import {ConfigError} from '../../lib/config/mistakes.ts';
import {outline} from '../../lib/config/outline.ts';
import type {Outline} from '../../lib/config/outline.ts';
import {warningsOf} from '../../lib/config/warnings.ts';
import {certificate} from '../support/certificates.ts';
import {temporaryFolder} from '../support/temporary-folder.ts';

/** The mistakes found in a text, as an operator reads them. */
function mistakesIn(text: string, env: NodeJS.ProcessEnv = {}): string {
  try {
    parseConfig(text, 'pf.yaml', env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

test('configuration: an empty file is a whole configuration', (t) => {
  const config = parseConfig('', '/etc/cpm/pf.yaml', {});
  t.is(config.sip.inviteSeconds, 25);
  t.is(config.cpm.deferredMsgMgmtUri, 'sip:rcse-standfw@localhost');
  t.is(config.store.path, '/etc/cpm/state/cpm.db');
  t.is(config.relay.spoolDirectory, '/etc/cpm/run/spool');
});

test('configuration: the annotated example has every key, and changes nothing', (t) => {
  const example = readFileSync('docs/config.example.yaml', 'utf8');
  t.deepEqual(parseConfig(example, 'pf.yaml', {}), parseConfig('', 'pf.yaml', {}));
  const keysOf = (at: Outline): string[] => Object.entries(at.keys).flatMap(([key, of]) => [key, ...keysOf(of)]);
  for (const key of keysOf(outline)) t.regex(example, new RegExp(`^ *${key}:`, 'm'));
});

test('configuration: a key without a value has its default', (t) => {
  const config = parseConfig('sip:\n  inviteSeconds:\n  homeDomain: example.org\nstore:\n', 'pf.yaml', {});
  t.is(config.sip.inviteSeconds, 25);
  t.is(config.cpm.deferredMsgMgmtUri, 'sip:rcse-standfw@example.org');
});

test('configuration: a wrong value is told with file, line, key and what was expected', (t) => {
  t.is(
    mistakesIn('# a PF\nsip:\n  inviteSeconds: soon\n'),
    'pf.yaml:3: sip.inviteSeconds: expected a whole number from 1 to 180, found "soon"',
  );
  t.is(mistakesIn('log: {level: loud}'), 'pf.yaml:1: log.level: expected debug or info or warn or error, found "loud"');
  t.is(
    mistakesIn('sip:\n  trustedPeers:\n    - 192.0.2.0/24\n    - 192.0.2.0/33\n'),
    'pf.yaml:4: sip.trustedPeers.1: expected an IP address or ADDRESS/PREFIX, found "192.0.2.0/33"',
  );
  t.is(mistakesIn('admin: {host: 192.0.2.1}'), 'pf.yaml:1: admin.host: expected a loopback address, found "192.0.2.1"');
  t.regex(mistakesIn('- sip'), /^pf\.yaml:1: expected a section with node, sip, /);
});

test('configuration: every mistake of a file is told at once', (t) => {
  t.is(mistakesIn('sip:\n  regEvent: maybe\nstore:\n  kind: redis\nlog:\n  level: all\n').split('\n').length, 3);
});

test('configuration: an unknown key is a mistake, and the likely one is named', (t) => {
  t.is(
    mistakesIn('sip:\n  homeDomain: example.org\n  inviteSecond: 5\n'),
    'pf.yaml:3: sip.inviteSecond: is not known; did you mean inviteSeconds?',
  );
  t.is(mistakesIn('admin:\n  colour: red\n'), 'pf.yaml:2: admin.colour: is not known; known here: host, port');
  t.regex(mistakesIn('Sip: {}'), /did you mean sip\?/);
});

test('configuration: a file that is not YAML is told with its line', (t) => {
  t.regex(mistakesIn('sip:\n  regEvent: [true\nlog: {}\n'), /^pf\.yaml:\d: \S/);
  t.regex(mistakesIn('sip: {}\nsip: {}\n'), /^pf\.yaml:2: .*unique/);
});

test('configuration: a missing file is told as a mistake of that file', (t) => {
  const error = t.throws(() => loadConfig('/nowhere/pf.yaml', {}), {instanceOf: ConfigError});
  t.regex(error.message, /^\/nowhere\/pf\.yaml:1: cannot be read: ENOENT/);
});

test('configuration: secrets come from the environment', (t) => {
  const text = 'sip:\n  drachtio:\n    - host: 192.0.2.5\n      secret: ${DRACHTIO_SECRET}\n';
  const {drachtio} = parseConfig(text, 'pf.yaml', {DRACHTIO_SECRET: 's3cret: [x'}).sip;
  t.deepEqual(drachtio, [{host: '192.0.2.5', port: 9022, secret: 's3cret: [x'}]);
  t.is(mistakesIn(text), 'pf.yaml:4: the environment variable DRACHTIO_SECRET is not set');
});

test('configuration: the value of a secret is in no mistake', (t) => {
  const text = 'sip:\n  drachtio:\n    - host: 192.0.2.5\n      secret: [hunter2]\n';
  t.is(mistakesIn(text), 'pf.yaml:4: sip.drachtio.0.secret: expected a text');
});

test('configuration: the refusal table takes more statuses and keeps the defaults of the others', (t) => {
  const {refusalPolicy} = parseConfig('cpm: {refusalPolicy: {486: refuse, 404: defer}}', 'pf.yaml', {}).cpm;
  t.deepEqual({...refusalPolicy}, {404: 'defer', 486: 'refuse', 488: 'refuse', 606: 'refuse'});
  t.is(
    mistakesIn('cpm: {refusalPolicy: {200: defer}}'),
    'pf.yaml:1: cpm.refusalPolicy.200: expected a status from 300 to 699 as key',
  );
  t.is(
    mistakesIn('cpm: {refusalPolicy: {404: keep}}'),
    'pf.yaml:1: cpm.refusalPolicy.404: expected refuse or defer, found "keep"',
  );
});

test('configuration: keys that contradict each other are a mistake', (t) => {
  t.regex(
    mistakesIn('relay: {access: {listenHost: 0.0.0.0}}'),
    /^pf\.yaml:1: relay\.access\.advertisedHost: expected /,
  );
  t.regex(mistakesIn('relay: {sidecars: ["192.0.2.7:7650"]}'), /^pf\.yaml:1: relay\.tls: expected all three files/);
  t.is(mistakesIn('relay: {sidecars: ["127.0.0.1:7650", "[::1]:7650", "unix:/run/relay.sock"]}'), '');
  t.regex(
    mistakesIn('served: {users: [{identities: ["tel:+15550100"]}, {identities: ["tel:+15550100"]}]}'),
    /served\.users\.1\.identities: expected tel:\+15550100 in one user only/,
  );
  t.is(
    mistakesIn('peers: {listenHost: 192.0.2.7}'),
    'pf.yaml:1: peers.tls: expected all three files, as other nodes are not on loopback',
  );
  t.regex(mistakesIn('peers: {advertisedHost: pf-1.example}'), /^pf\.yaml:1: peers\.tls: expected all three files/);
  t.regex(mistakesIn('peers: {tls: {keyFile: k.pem}}'), /^pf\.yaml:1: peers\.tls: expected all three files/);
  t.regex(mistakesIn('peers: {listenHost: "::"}'), /peers\.advertisedHost: expected an address that other nodes/);
  const server = 'drachtio: [{host: 127.0.0.1, secret: a}]';
  t.regex(
    mistakesIn(`sip: {${server}, listen: {port: 9023}}`),
    /^pf\.yaml:1: sip\.listen\.secret: expected the admin secret/,
  );
  t.regex(
    mistakesIn('sip: {listen: {port: 9023, secret: a}}'),
    /^pf\.yaml:1: sip\.drachtio: expected a server at least/,
  );
  t.is(mistakesIn(`sip: {${server}, listen: {port: 9023, secret: a}}`), '');
});

test('configuration: certificates that MSRP cannot use are told with file, line and what was expected', async (t) => {
  const folder = await temporaryFolder(t);
  const [relay, other] = [certificate(folder, 'relay'), certificate(folder, 'other')];
  const access = (tls: object): string =>
    mistakesIn(`relay:\n  access:\n    tls:\n${stringify(tls).replaceAll(/^/gm, '      ').trimEnd()}`);
  const {certificateFile, keyFile} = relay;
  t.is(access({certificateFile, keyFile}), '');
  t.is(
    access({certificateFile, keyFile: other.keyFile}),
    `pf.yaml:5: relay.access.tls.keyFile: expected the key of ${certificateFile}, found another one in ${other.keyFile}`,
  );
  t.is(
    access({certificateFile: keyFile, keyFile}),
    'pf.yaml:4: relay.access.tls.certificateFile: expected a certificate in PEM, found something else',
  );
  t.regex(
    access({certificateFile: '/nowhere.pem', keyFile}),
    /^pf\.yaml:4: relay\.access\.tls\.certificateFile: expected a certificate in PEM, ENOENT/,
  );
  t.regex(
    access({certificateFile, keyFile, authorityFile: keyFile}),
    /^pf\.yaml:6: relay\.access\.tls\.authorityFile: /,
  );
  t.regex(
    access({certificateFile}),
    /relay\.access\.tls\.keyFile: expected a path: a certificate and its key go together/,
  );
  t.regex(access({require: true}), /relay\.access\.tls\.certificateFile: expected a path/);
});

test('configuration: that nobody is served is warned of, unless users, domains or number prefixes are named', (t) => {
  const warns = (served: string): boolean =>
    warningsOf(parseConfig(`served: ${served}`, 'pf.yaml', {})).some((sentence) => sentence.includes('names nobody'));
  t.true(warns('{}'));
  t.false(warns('{domains: [home.example]}'));
  t.false(warns('{numberPrefixes: ["+1555"]}'));
});

test('configuration: another user part than rcse-standfw is warned of', (t) => {
  const said = warningsOf(parseConfig('cpm: {deferredMsgMgmtUri: "sip:queue@example.org"}', 'pf.yaml', {}));
  t.true(said.some((sentence) => sentence.includes('rcse-standfw')));
  t.false(warningsOf(parseConfig('', 'pf.yaml', {})).some((sentence) => sentence.includes('rcse-standfw')));
});

test('configuration: every key is described, has a default or says that it is unset, and names its unit', (t) => {
  const unit =
    /(?:Seconds|Milliseconds|Bytes|Messages|Deliveries|Retries|[sS]essions|[cC]onnections|Per(?:Address|Connection|Session)|[pP]ort)$/;
  const walk = (at: Outline, name: string): void => {
    t.not(at.description, '', `${name} is described`);
    if (at.expected.startsWith('a whole number')) t.regex(name, unit, `${name} names its unit`);
    if (at.type === 'value' && at.default === undefined && !name.includes('[]'))
      t.regex(at.description, /unset|,/, `${name} says what holds without it`);
    for (const [key, inner] of Object.entries(at.keys)) walk(inner, path.posix.join(name, key));
    if (at.items?.type === 'section')
      for (const [key, inner] of Object.entries(at.items.keys)) walk(inner, path.posix.join(`${name}[]`, key));
  };
  for (const [key, section] of Object.entries(outline.keys)) walk(section, key);
});
