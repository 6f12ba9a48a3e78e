/** All scenarios: what an application sees of a drachtio server. */
import type {Scenario} from './runner.ts';
import {adminScenarios} from './scenarios/admin.ts';
import {formScenarios} from './scenarios/forms.ts';
import {inDialogScenarios} from './scenarios/in-dialog.ts';
import {incomingScenarios} from './scenarios/incoming.ts';
import {messageScenarios} from './scenarios/messages.ts';
import {outgoingScenarios} from './scenarios/outgoing.ts';
import {routingScenarios} from './scenarios/routing.ts';
import {subscriptionScenarios} from './scenarios/subscriptions.ts';

export const scenarios: readonly Scenario[] = [
  ...adminScenarios,
  ...incomingScenarios,
  ...outgoingScenarios,
  ...inDialogScenarios,
  ...messageScenarios,
  ...subscriptionScenarios,
  ...formScenarios,
  ...routingScenarios,
];
