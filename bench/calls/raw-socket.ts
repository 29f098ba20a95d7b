import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Round trips over a Unix socket with nothing but a length before each message, in order. */
export interface RawSocket {
  request(bytes: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export async function connectRawSocket(path: string): Promise<RawSocket> {
  const socket = connect(path);
  await once(socket, 'connect');
  const waiting: ((bytes: Uint8Array) => void)[] = [];
  let head = 0;
  readFrames(socket, (frame) => {
    waiting[head]!(frame);
    head += 1;
    if (head < 1024) return;
    waiting.splice(0, head);
    head = 0;
  });
  return {
    request(bytes) {
      writeFrame(socket, bytes);
      return new Promise((resolve) => waiting.push(resolve));
    },
    close: () => socket.destroy(),
  };
}

/** The far side: sends every frame back. */
export function echoFrames(socket: Socket): void {
  readFrames(socket, (frame) => writeFrame(socket, frame));
}

function readFrames(socket: Socket, receive: (frame: Uint8Array) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
    // Answers to what came in one piece leave in one piece.
    socket.cork();
    let at = 0;
    while (rest.length - at >= 4) {
      const length = rest.readUInt32LE(at);
      if (rest.length - at - 4 < length) break;
      receive(rest.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    rest = rest.subarray(at);
    process.nextTick(() => socket.uncork());
  });
}

function writeFrame(socket: Socket, bytes: Uint8Array): void {
  const frame = Buffer.allocUnsafe(4 + bytes.length);
  frame.writeUInt32LE(bytes.length, 0);
  frame.set(bytes, 4);
  if (socket.writableCorked === 0) {
    // What is sent in one turn of the event loop goes out in one write.
    socket.cork();
    process.nextTick(() => socket.uncork());
  }
  socket.write(frame);
}
