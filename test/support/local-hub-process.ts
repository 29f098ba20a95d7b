/** A hub in a process of its own, so that a test can kill it. */
import { startLocalHub } from '../../runtime/bus/local-hub.ts';

const hub = await startLocalHub();
process.send!(hub.socketPath);
