import type {SipDialog} from '../ports/sip.ts';
import type {Context} from './context.ts';

type Needs = Pick<Context, 'dialogs' | 'policy' | 'clock'>;

/** Writes a dialog down, so that the node's next life can end it should this one be killed (docs/closures.md). */
export function rememberDialog({dialogs, policy, clock}: Needs, servedUser: string, {id, server}: SipDialog): void {
  void dialogs.record({id, node: policy.node, server, servedUser, openedAt: clock.now()});
}

/** The dialog has ended. */
export function forgetDialog({dialogs}: Pick<Context, 'dialogs'>, dialog: SipDialog | undefined): void {
  if (dialog !== undefined) void dialogs.forget(dialog.id);
}
