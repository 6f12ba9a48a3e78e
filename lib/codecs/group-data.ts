/**
 * Group data management: a member asks by a message for another subject, icon or role, and is answered by one. It is no chat, and nothing of it is
 * kept: what changed is told by the conference event package.
 */
import {isType} from './mime.ts';

/** Whether a Content-Type is that of such a message. */
export const isGroupData = (contentType: string): boolean =>
  isType(contentType, 'application/vnd.oma.cpm-groupdata+xml');
