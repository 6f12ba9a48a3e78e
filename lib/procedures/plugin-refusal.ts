import type {InvitationRefusal} from '../hooks/lifecycle.ts';
import type {IncomingRequest} from '../ports/sip.ts';
import type {Context} from './context.ts';

/**
 * A plugin does not want an INVITE or a MESSAGE: its status and its reason phrase are the answer. Resolves when that is sent.
 * @clause CPM-CF 8.3.2.1
 */
export async function refuseForPlugin(
  {policy}: Pick<Context, 'policy'>,
  request: IncomingRequest,
  {refuse, reason}: InvitationRefusal,
): Promise<void> {
  await request.respond(refuse, {
    ...(reason === undefined ? {} : {reason}),
    ...(refuse === 503 ? {headers: {'Retry-After': String(policy.retryAfterSeconds)}} : {}),
  });
}
