import {isType, mimeHeader} from '../../lib/codecs/mime.ts';
import {leafParts} from '../../lib/codecs/multipart.ts';
import {headerOf, type SipRequest} from '../../lib/codecs/sip-message.ts';

/** The part of that type in a request's body, and its Content-Disposition as written. */
export function multipartPart(
  request: SipRequest,
  type: string,
): {readonly disposition: string | undefined; readonly body: Buffer} | undefined {
  const parts = leafParts(request.body, headerOf(request, 'Content-Type') ?? '');
  const part = parts.find(({contentType}) => isType(contentType, type));
  return part && {disposition: mimeHeader(part.headers, 'Content-Disposition'), body: part.body};
}
