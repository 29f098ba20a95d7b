import { joinPieces, type RoutedMessage } from '../bus/router.ts';
import { decodeMessage, type WireMessage } from '../wire/wire.ts';

/** A message in one line that is the same on every machine: no sizes, process ids or stacks. */
export function describeMessage(message: RoutedMessage): string {
  return `${message.subject} ${describeContent(message)}`;
}

function describeContent(message: RoutedMessage): string {
  try {
    return describe(decodeMessage(joinPieces(message)));
  } catch {
    return 'bytes';
  }
}

function describe(message: WireMessage): string {
  const words: (string | number)[] = [message.kind];
  if ('to' in message) words.push(`to ${message.to}`);
  if ('of' in message) words.push(`of ${message.of}`);
  if ('seq' in message) words.push(`#${message.seq}`);
  if ('index' in message) words.push(`item ${message.index}`);
  if ('method' in message) words.push(message.method);
  if ('status' in message) words.push(message.status, `epoch ${message.epoch}`);
  if ('operation' in message) words.push(message.operation, message.key);
  if ('revision' in message && message.revision !== undefined) words.push(`@${message.revision}`);
  if ('incarnation' in message) words.push(message.incarnation);
  if ('error' in message && message.error) words.push(`error ${message.error.name}`);
  return words.join(' ');
}
