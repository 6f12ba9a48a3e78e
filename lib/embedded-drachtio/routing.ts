/** New requests for which a request handler is asked: they go to an application, connected or not, or have their answer here. */
import {CpmError} from '../errors.ts';
import type {SipRequest} from '../codecs/sip-message.ts';
import type {Admin} from './admin.ts';
import type {Routing} from './core.ts';
import type {Flow} from './flow.ts';
import type {Proxy} from './proxy.ts';
import {askHandler, handlerOf, type Instruction, type RequestHandler} from './request-handlers.ts';
import type {Uas} from './uas.ts';

interface RoutingParts {
  readonly uas: Uas;
  readonly proxy: Proxy;
  readonly admin: Pick<Admin, 'connect' | 'pick'>;
}

/** The parts are fetched when they are needed: they are made after this. */
export function createRouting(handlers: readonly RequestHandler[], parts: () => RoutingParts): Routing {
  async function follow(transactionId: string, method: string, instruction: Instruction): Promise<void> {
    const {uas, proxy, admin} = parts();
    switch (instruction.action) {
      case 'reject':
        uas.refuse(transactionId, instruction.status, instruction.reason);
        break;
      case 'redirect':
        uas.refuse(transactionId, 302, 'Moved', instruction.contacts);
        break;
      case 'proxy':
        proxy.pass(instruction, () => uas.take(transactionId));
        break;
      case 'tag': {
        const app = admin.pick(method, instruction.tag);
        if (app === undefined) uas.refuse(transactionId, 480);
        else uas.offer(transactionId, app);
        break;
      }
      case 'connect':
        uas.offer(transactionId, await admin.connect(instruction.address));
    }
  }

  return {
    handles: (method) => handlerOf(handlers, method) !== undefined,
    start(transactionId: string, request: SipRequest, flow: Flow) {
      const handler = handlerOf(handlers, request.method);
      if (handler === undefined) return;
      askHandler(handler, request, flow)
        .then((instruction) => follow(transactionId, request.method, instruction))
        .catch((error: unknown) => {
          const status = error instanceof CpmError ? error.status : 500;
          parts().uas.refuse(transactionId, status, status === 500 ? 'Server Internal Error' : undefined);
        });
    },
  };
}
