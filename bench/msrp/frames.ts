/** Frames that the load is made of, built beforehand: while it runs they are only written. */

export interface Session {
  /** Where the sender connects. */
  readonly host: string;
  readonly port: number;
  /** To-Path and From-Path of the SENDs. */
  readonly toPath: string;
  readonly fromPath: string;
}

export interface FrameShape {
  readonly bodyBytes: number;
  /** The end of the Byte-Range is `*`: the body ends where its end-line is found. */
  readonly open: boolean;
}

/** Frames that follow one another in one buffer, `length` octets each; each has ids of its own. */
export interface Ring {
  readonly frames: Buffer;
  readonly length: number;
  /** Positions at which a run of frames may begin; as many as are ever in flight follow the last. */
  readonly size: number;
}

/** Enough frames of one kind that none comes again before its answer is there. */
export function ringOf(session: Session, {bodyBytes, open}: FrameShape, window: number): Ring {
  const size = 2 * window;
  const body = Buffer.alloc(bodyBytes, 'The quick brown fox jumps over the lazy dog. ');
  const bodies = Array<Buffer>(size + window).fill(body);
  return {...ringOfBodies(session, bodies, {open, contentType: 'text/plain'}, size), size};
}

/** A frame for each of these bodies, all equally long, to be sent once; after `size` of them their ids begin again. */
export function ringOfBodies(
  {toPath, fromPath}: Session,
  bodies: readonly Buffer[],
  {open, contentType}: {readonly open: boolean; readonly contentType: string},
  size = bodies.length,
): Ring {
  const frames = bodies.map((body, index) => {
    const id = String(index % size).padStart(6, '0');
    const range = `1-${open ? '*' : body.length}/${body.length}`;
    const head =
      `MSRP load${id} SEND\r\nTo-Path: ${toPath}\r\nFrom-Path: ${fromPath}\r\n` +
      `Message-ID: message${id}\r\nByte-Range: ${range}\r\nContent-Type: ${contentType}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), body, Buffer.from(`\r\n-------load${id}$\r\n`)]);
  });
  return {frames: Buffer.concat(frames), length: frames[0]?.length ?? 0, size};
}

/** Ends every frame, and stands nowhere else in these. */
export const endFlag = 0x24;
