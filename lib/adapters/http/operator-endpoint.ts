/** What the admin endpoint lets an operator ask of messages and do to them: `/messages`, `/recorded`, `/groups`, `/queue/…`, `/erase`. */
import type {IncomingMessage} from 'node:http';
import {z} from 'zod';
import {CpmError} from '../../errors.ts';
import {queueChanges} from '../../ports/operator.ts';
import type {Operator} from '../../ports/operator.ts';

export interface Reply {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An address, an id and a name at the most. */
const maxBodyBytes = 8192;
const mostMessages = 1000;

const text = z.string().min(1).max(1024);
const by = z.enum(['message', 'user', 'sender', 'conversation']);
/** Stands in logs and histories. */
const who = z.string().regex(/^[\w.@-]{1,64}$/);
const change = z.strictObject({by, value: text, who});
const erasure = z.strictObject({user: text, who});
const limit = z.coerce.number().int().min(1).max(mostMessages).default(100);
const sequence = z.coerce.number().int().positive();
const question = z.strictObject({
  by: by.or(z.literal('any')).default('any'),
  value: text,
  pending: z.enum(['true', 'false']).default('false'),
  /** Sequence and id of the last one seen. */
  after: z.string().regex(/^\d{1,16}\.[\w-]{1,64}$/).optional(), // prettier-ignore
  limit,
});
/** Sessions of a user; objects of a conversation of his, or one object. */
const recordQuestion = z.union([
  z.strictObject({user: text, object: text, who}),
  z.strictObject({user: text, conversation: text, after: sequence.optional(), limit}),
  /** Conversation-ID and Contribution-ID of the last one seen. */
  z.strictObject({user: text, after: z.string().regex(/^\S+ \S+$/).optional(), limit}), // prettier-ignore
]);

/** Groups of a user; one of them, or its states. */
const groupQuestion = z.union([
  z.strictObject({user: text, group: text}),
  z.strictObject({user: text, group: text, states: z.literal('true'), after: sequence.optional(), limit}),
  z.strictObject({user: text, after: text.optional(), limit}),
]);

/** Undefined where the path is none of these. Never rejects. */
export function operatorEndpoint(
  request: IncomingMessage,
  key: string,
  operator: Operator | undefined,
): Promise<Reply> | undefined {
  const url = new URL(request.url ?? '', 'http://localhost');
  const [, what] = /^\/queue\/(\w+)$/.exec(url.pathname) ?? [];
  const changes = queueChanges.find((one) => one === what);
  const isQuestion = ['/messages', '/recorded', '/groups'].includes(url.pathname);
  if (!isQuestion && changes === undefined && url.pathname !== '/erase') return undefined;

  const method = isQuestion ? 'GET' : 'POST';
  return (async (): Promise<Reply> => {
    if (request.method !== method) return {...problem(405, `only ${method}`), headers: {Allow: method}};
    if (request.headers.authorization !== `Bearer ${key}`) return problem(401, 'the key in admin.json is asked for');
    if (operator === undefined) return problem(503, 'it is still starting');
    const asked = Object.fromEntries(url.searchParams);
    if (url.pathname === '/messages') return answer(operator, question.parse(asked));
    if (url.pathname === '/groups') return answerGroups(operator, groupQuestion.parse(asked));
    if (isQuestion) return answerRecorded(operator, recordQuestion.parse(asked));
    const body = await bodyOf(request);
    if (changes === undefined) {
      const {user, who: name} = erasure.parse(body);
      return {status: 200, body: await operator.erase(user, name)};
    }
    const {who: name, ...selection} = change.parse(body);
    return {status: 200, body: await operator.change(changes, selection, name)};
  })().catch(refusal);
}

async function answer(operator: Operator, asked: z.infer<typeof question>): Promise<Reply> {
  const selection = asked.by === 'any' ? await operator.selectionOf(asked.value) : {by: asked.by, value: asked.value};
  const [sequence = '', id = ''] = asked.after?.split('.') ?? [];
  const after = asked.after === undefined ? undefined : {sequence: Number(sequence), id};
  const page = {after, limit: asked.limit, pendingOnly: asked.pending === 'true'};
  const messages = await operator.trace(selection, page);
  const last = messages.length < asked.limit ? undefined : messages.at(-1);
  const next = last === undefined ? {} : {next: `${last.sequence}.${last.id}`};
  return {status: 200, body: {selection, messages, ...next}};
}

async function answerRecorded(operator: Operator, asked: z.infer<typeof recordQuestion>): Promise<Reply> {
  const {user} = asked;
  if ('object' in asked) {
    const {bytes, ...object} = await operator.recordedObject(user, asked.object, asked.who);
    return {status: 200, body: {...object, bytes: Buffer.from(bytes).toString('base64')}};
  }

  const {limit: most} = asked;
  if ('conversation' in asked) {
    const objects = await operator.recorded(user, asked.conversation, {after: asked.after, limit: most});
    return page('objects', objects, most, objects.at(-1)?.sequence.toString());
  }

  const [conversationId = '', contributionId = ''] = asked.after?.split(' ') ?? [];
  const folders = await operator.recordedSessions(user, {after: {conversationId, contributionId}, limit: most});
  const last = folders.at(-1);
  return page('sessions', folders, most, last && `${last.conversationId} ${last.contributionId}`);
}

async function answerGroups(operator: Operator, asked: z.infer<typeof groupQuestion>): Promise<Reply> {
  const {user} = asked;
  if ('states' in asked) {
    const states = await operator.groupStates(user, asked.group, {after: asked.after, limit: asked.limit});
    return page('states', states, asked.limit, states.at(-1)?.sequence.toString());
  }
  if ('group' in asked) return {status: 200, body: {group: await operator.group(user, asked.group)}};
  const groups = await operator.groups(user, {after: asked.after, limit: asked.limit});
  return page('groups', groups, asked.limit, groups.at(-1)?.contributionId);
}

/** `next`: where the page behind it begins, if there may be one. */
const page = (list: string, items: readonly object[], most: number, next: string | undefined): Reply => ({
  status: 200,
  body: {[list]: items, ...(next === undefined || items.length < most ? {} : {next})},
});

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new CpmError('CPM_ADMIN_REQUEST', 413, 'the body is too large');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  } catch {
    throw new CpmError('CPM_ADMIN_REQUEST', 400, 'the body is no JSON');
  }
}

function refusal(error: unknown): Reply {
  if (error instanceof z.ZodError) {
    const [issue] = error.issues;
    return problem(400, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  if (error instanceof CpmError) return problem(error.status, error.message, error.code);
  return problem(500, String(error), 'CPM_INTERNAL');
}

const problem = (status: number, error: string, code?: string): Reply => ({
  status,
  body: {...(code === undefined ? {} : {code}), error},
});
