/**
 * The MongoDB that tests run against, by the first of these that is there: `MONGODB_URI`; a mongod named by `MONGOMS_SYSTEM_BINARY` or on
 * the PATH; a stand-in, whose jars are in the folder `MONGO_STANDIN` (test/support/mongo-standin/pom.xml fetches them).
 */
import {spawn} from 'node:child_process';
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {accessSync, constants} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';
import {createInterface} from 'node:readline';
import type {TestFn} from 'ava';
import {MongoClient} from 'mongodb';
import {freePort} from '../../lib/demo/pf-process.ts';

export type MongoKind =
  | {readonly kind: 'uri'; readonly uri: string}
  | {readonly kind: 'mongod'; readonly binary: string}
  | {readonly kind: 'stand-in'; readonly jars: string}
  | {readonly kind: 'none'; readonly why: string};

export const mongoKind: MongoKind = chooseMongo();

/** For titles: which server it was, or why there is none. */
export const mongoName = mongoKind.kind === 'none' ? `skipped: ${mongoKind.why}` : `MongoDB, ${mongoKind.kind}`;

/** Tests that need a server: one after the other, as they share it; skipped where there is none. */
export function testWithMongo(test: TestFn): TestFn {
  return (mongoKind.kind === 'none' ? test.skip : test.serial) as TestFn;
}

export interface RunningMongo {
  readonly uri: string;
  /** SIGKILL; only where it is ours. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts a server with an empty folder of its own, or names the one that runs. */
export async function startMongo(): Promise<RunningMongo> {
  if (mongoKind.kind === 'none') throw new Error(mongoKind.why);
  if (mongoKind.kind === 'uri') {
    const notOurs = () => Promise.reject(new Error('this server is not ours'));
    return {uri: mongoKind.uri, kill: notOurs, start: notOurs, stop: () => Promise.resolve()};
  }
  const folder = await mkdtemp(join(tmpdir(), 'cpm-mongo-'));
  const port = await freePort();
  const uri = `mongodb://127.0.0.1:${port}/`;
  let child: ChildProcess | undefined;

  const kill = async (): Promise<void> => {
    const dying = child;
    child = undefined;
    if (dying?.exitCode !== null || dying.signalCode !== null) return;
    dying.kill('SIGKILL');
    await once(dying, 'exit');
  };
  const start = async (): Promise<void> => {
    child =
      mongoKind.kind === 'mongod'
        ? spawnMongod(mongoKind.binary, folder, port)
        : spawnStandIn(mongoKind.jars, folder, port);
    await answering(uri, child);
  };
  await start();
  return {
    uri,
    kill,
    start,
    async stop() {
      await kill();
      await rm(folder, {recursive: true, force: true});
    },
  };
}

function chooseMongo(): MongoKind {
  const {MONGODB_URI: uri, MONGO_STANDIN: jars, MONGOMS_SYSTEM_BINARY: named, PATH: path = ''} = process.env;
  if (uri !== undefined && uri !== '') return {kind: 'uri', uri};
  const binary = [named ?? '', ...path.split(delimiter).map((folder) => join(folder, 'mongod'))].find(isExecutable);
  if (binary !== undefined) return {kind: 'mongod', binary};
  if (jars !== undefined && jars !== '') return {kind: 'stand-in', jars};
  return {kind: 'none', why: 'neither MONGODB_URI nor a mongod nor MONGO_STANDIN'};
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return path !== '';
  } catch {
    return false;
  }
}

function spawnMongod(binary: string, folder: string, port: number): ChildProcess {
  const options = ['--dbpath', folder, '--port', String(port), '--bind_ip', '127.0.0.1', '--quiet'];
  return spawn(binary, options, {stdio: 'ignore'});
}

function spawnStandIn(jars: string, folder: string, port: number): ChildProcess {
  const options = [
    '-cp',
    join(jars, '*'),
    'test/support/mongo-standin/Server.java',
    join(folder, 'data'),
    String(port),
  ];
  // It ends when this pipe does, so it never outlives the test process.
  return spawn('java', ['-Xmx512m', ...options], {stdio: ['pipe', 'pipe', 'ignore']});
}

async function answering(uri: string, child: ChildProcess): Promise<void> {
  const failed = Promise.race([
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the MongoDB server ended with ${String(code)}`))),
    once(child, 'error').then(([error]) => Promise.reject(error as Error)),
  ]);
  const client = new MongoClient(uri, {serverSelectionTimeoutMS: 30_000});
  try {
    if (child.stdout !== null) await Promise.race([once(createInterface(child.stdout), 'line'), failed]);
    await Promise.race([client.db('admin').command({ping: 1}), failed]);
  } finally {
    failed.catch(() => undefined);
    await client.close();
  }
}
