/**
 * Disposition notifications (RFC 5438 §7, §11), and the extension of CPM for messages that left for SMS or MMS.
 *
 *     imdn = message-id datetime [recipient-uri original-recipient-uri [subject]] [*-notification]
 */
import {CpmError} from '../errors.ts';
import {IMDN_NAMESPACE, formatCpim, parseCpim} from './cpim.ts';
import {decodeContent, isType} from './mime.ts';
import {leafParts} from './multipart.ts';
import {type XmlElement, formatLeaf, isElement, parseXml, xmlChild, xmlChildText} from './xml.ts';

const XML_NAMESPACE = 'urn:ietf:params:xml:ns:imdn';
const EXTENSION_NAMESPACE = 'urn:oma:xml:cpm:imdn-extensions:1.0';

export type ImdnKind = 'delivery' | 'display' | 'processing' | 'interworking';
export type ImdnStatus =
  'delivered' | 'failed' | 'displayed' | 'processed' | 'stored' | 'forbidden' | 'error' | 'sms' | 'mms';

/** What became of one message. */
export interface Imdn {
  /** `imdn.Message-ID` of the message reported on. */
  readonly messageId: string;
  /** As written; clients put the message's time or the present one, so nothing may be ordered by it. */
  readonly dateTime: string | undefined;
  readonly kind: ImdnKind;
  readonly status: ImdnStatus;
  readonly recipientUri?: string | undefined;
  readonly originalRecipientUri?: string | undefined;
}

const STATUSES: Readonly<Record<ImdnKind, readonly ImdnStatus[]>> = {
  delivery: ['delivered', 'failed', 'forbidden', 'error'],
  display: ['displayed', 'forbidden', 'error'],
  processing: ['processed', 'stored', 'forbidden', 'error'],
  interworking: ['sms', 'mms', 'error'],
};
const KINDS: readonly ImdnKind[] = ['delivery', 'display', 'processing', 'interworking'];

/**
 * Reads one notification document. Unknown elements are ignored: undefined when what is left reports nothing.
 *
 * @throws CpmError `CPM_XML` (400) or `CPM_IMDN` (400).
 */
export function parseImdn(xml: string | Uint8Array): Imdn | undefined {
  const root = parseXml(xml);
  const messageId = xmlChildText(root, 'message-id');
  if (!isElement(root, 'imdn', XML_NAMESPACE) || messageId === undefined) {
    throw new CpmError('CPM_IMDN', 400, 'the disposition notification names no message');
  }
  const report = KINDS.flatMap((kind) => reportOf(root, kind)).at(0);
  if (report === undefined) return undefined;
  return {
    messageId,
    dateTime: xmlChildText(root, 'datetime'),
    ...report,
    recipientUri: xmlChildText(root, 'recipient-uri'),
    originalRecipientUri: xmlChildText(root, 'original-recipient-uri'),
  };
}

/** Writes one notification document, elements in the schema's order. */
export function formatImdn(imdn: Imdn): string {
  const {messageId, dateTime, kind, status, recipientUri, originalRecipientUri} = imdn;
  const namespace = kind === 'interworking' ? ` xmlns="${EXTENSION_NAMESPACE}"` : '';
  return [
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="${XML_NAMESPACE}">`,
    formatLeaf('message-id', messageId),
    formatLeaf('datetime', dateTime),
    formatLeaf('recipient-uri', recipientUri),
    formatLeaf('original-recipient-uri', originalRecipientUri),
    `<${kind}-notification${namespace}><status><${status}/></status></${kind}-notification></imdn>\r\n`,
  ].join('');
}

/**
 * All that a body reports: a document of its own, one in CPIM, or an aggregate of them (RFC 5438 §8.3). Empty for other content.
 *
 * @throws CpmError `CPM_CPIM`, `CPM_MULTIPART`, `CPM_XML` or `CPM_IMDN` (400).
 */
export function parseNotifications(contentType: string, body: Uint8Array): readonly Imdn[] {
  if (isType(contentType, 'message/cpim')) {
    const cpim = parseCpim(body);
    const content = decodeContent(cpim.contentHeaders, cpim.body);
    // CPIM in CPIM is no notification, and must not lead us on for ever.
    return cpim.contentType === undefined || isType(cpim.contentType, 'message/cpim')
      ? []
      : parseNotifications(cpim.contentType, content);
  }
  return leafParts(body, contentType)
    .filter((part) => isType(part.contentType, 'message/imdn+xml'))
    .flatMap((part) => parseImdn(decodeContent(part.headers, part.body)) ?? []);
}

/** A notification on its way. */
export interface NewNotification {
  readonly imdn: Imdn;
  /** CPIM From and To as they are written: `<sip:anonymous@anonymous.invalid>`. */
  readonly from: string;
  readonly to: string;
  /** The notification's own `imdn.Message-ID`, unrelated to the message's. */
  readonly messageId: string;
  /** RFC 3339. */
  readonly dateTime: string;
}

/** A whole CPIM message around a notification; it asks for no notification itself (RFC 5438 §7.2.1, row E2). */
export function formatNotificationCpim({imdn, from, to, messageId, dateTime}: NewNotification): Buffer {
  const body = Buffer.from(formatImdn(imdn));
  return formatCpim({
    headers: [
      {name: 'From', value: from},
      {name: 'To', value: to},
      {name: 'NS', value: `imdn <${IMDN_NAMESPACE}>`},
      {name: 'imdn.Message-ID', value: messageId},
      {name: 'DateTime', value: dateTime},
    ],
    contentHeaders: [
      {name: 'Content-Type', value: 'message/imdn+xml'},
      {name: 'Content-Disposition', value: 'notification'},
      {name: 'Content-Length', value: String(body.length)},
    ],
    body,
  });
}

function reportOf(root: XmlElement, kind: ImdnKind): readonly Pick<Imdn, 'kind' | 'status'>[] {
  const status = xmlChild(root, `${kind}-notification`)?.children.find(({name}) => name === 'status');
  const named = STATUSES[kind].find((name) => status?.children.some((child) => child.name === name));
  return named === undefined ? [] : [{kind, status: named}];
}
