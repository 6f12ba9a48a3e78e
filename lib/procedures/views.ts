/** What plugins are shown of an invitation, a delivery and a registration (docs/plugins.md). */
import type {Imdn} from '../codecs/imdn.ts';
import type {
  ConversationView,
  DeliveryView,
  InvitationView,
  NotificationView,
  RegistrationView,
} from '../hooks/views.ts';
import type {DeferredMessage, OriginalSession} from '../cpm/deferred-message.ts';
import type {RegisteredContact, Registration} from '../ports/registrations.ts';
import type {Invitation} from './terminating/invitation.ts';

export function viewOfInvitation(invitation: Invitation): InvitationView {
  const {servedUser, sender, conversationId, contributionId, recipientAddress, senderAddress, subject} = invitation;
  return {
    servedUser,
    sender,
    conversationId,
    contributionId,
    recipientAddress,
    senderAddress,
    subject,
    hasFirstMessage: invitation.firstMessage !== undefined,
    message: undefined,
  };
}

/** A session, of whichever kind: `sender` is the one with whom the served user has it. */
export interface ViewedSession {
  readonly servedUser: string;
  readonly sender: string;
  readonly label: {readonly conversationId: string; readonly contributionId: string};
}

export const viewOfSession = ({servedUser, sender, label}: ViewedSession): ConversationView => ({
  servedUser,
  sender,
  ...label,
});

export const viewOfDelivery = (
  {servedUser, sender, session}: DeferredMessage,
  {length}: readonly RegisteredContact[],
): DeliveryView => ({
  servedUser,
  sender,
  conversationId: session.conversationId,
  contributionId: session.contributionId,
  devices: length,
});

export function viewOfRegistration(
  {servedUser, identities, contacts}: Pick<Registration, 'servedUser' | 'identities' | 'contacts'>,
  registered: boolean,
): RegistrationView {
  const devices = contacts.map(({instance, userAgent, cpm, expiresAt}) => ({instance, userAgent, cpm, expiresAt}));
  return {servedUser, registered, identities: [...identities], devices};
}

/** What `author` says of messages that the originator of `session` sent. */
export const viewOfNotifications = (
  author: string,
  {conversationId, contributionId, senderAddress}: OriginalSession,
  notifications: readonly Imdn[],
): NotificationView => ({
  author,
  recipientAddress: senderAddress,
  conversationId,
  contributionId,
  reports: notifications.map(({messageId, kind, status}) => ({imdnMessageId: messageId, kind, status})),
});
