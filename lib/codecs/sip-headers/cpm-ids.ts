/**
 * Reads Conversation-ID, Contribution-ID, InReplyTo-Contribution-ID and Session-Replaces: one opaque value, compared octet by octet, never
 * shortened nor folded to one letter case. Undefined when absent, empty, longer than 512 characters (no such id is, and it is part of
 * keys in the store), or not one run of visible characters.
 */
export function opaqueId(text: string | undefined): string | undefined {
  const id = text?.trim();
  return id !== undefined && id.length <= 512 && /^[\x21-\x7e]+$/.test(id) ? id : undefined;
}
