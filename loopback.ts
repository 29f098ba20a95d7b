import { isIP } from 'node:net';

/** Whether only processes of this machine reach what listens there. A name other than `localhost` is none. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
