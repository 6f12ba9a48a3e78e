/** Reason header values of the BYEs and CANCELs that the PF itself sends (RFC 3326; CPM-CF 8.3.2.3). */

/** Everything was handed over, or the other side has left of its own will. */
export const completed = 'SIP;cause=200;text="Call completed"';
/** Another device, or a newer session, has it. */
export const completedElsewhere = 'SIP;cause=200;text="Call completed elsewhere"';
/** Nobody wanted the end: a connection is lost, a process stops. */
export const serviceUnavailable = 'SIP;cause=503;text="Service Unavailable"';
/** The inviter gave up. */
export const requestTerminated = 'SIP;cause=487;text="Request Terminated"';
/** The device rang too long. */
export const requestTimeout = 'SIP;cause=408;text="Request Timeout"';
/** The answer leads nowhere. */
export const notAcceptable = 'SIP;cause=488;text="Not Acceptable Here"';
