/** Frames of the libraries that a traced function calls, and of this one. */
const LIBRARY_FRAME =
  /[\\/](?:@tensorflow[\\/]|tslib[\\/]|tfjs(?:-\w+)*[\\/](?:src|dist)[\\/])|\(?node:|<anonymous>\)?$/;
const CORE_FRAME = /[\\/]tfjs-core[\\/]/;
const LAYERS_FRAME = /[\\/]tfjs-layers[\\/]/;
const FRAMES_MAX = 200;

/** This folder, as it stands in stack traces: as a URL and, where a tool maps them, as a path. */
const folder = new URL('./', import.meta.url);

/** The calls that led here; cheap until it is asked for its place. */
export function captureCalls(): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const calls = new Error();
  Error.stackTraceLimit = limit;
  return calls;
}

/**
 * Where in the user's code the call is that led here, ` at file:line:column` with its function, or
 * nothing if all of the stack is in libraries.
 */
export function placeInUserCode({ stack = '' }: Error = captureCalls()): string {
  const frame = stack
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line.startsWith('at ') && !isLibraryFrame(line));
  return frame === undefined ? '' : ` ${frame}`;
}

/** Whether tfjs-layers itself called the operation of tfjs-core that led here. */
export function isCalledByLayers({ stack = '' }: Error): boolean {
  const frames = stack.split('\n').filter((line) => line.trim().startsWith('at '));
  const caller = frames.find((line) => !isOwnFrame(line) && !CORE_FRAME.test(line));
  return caller !== undefined && LAYERS_FRAME.test(caller);
}

/** Which method of a tfjs layer the call came from that led here, ` by Class.method`, if from one. */
export function placeInLayers(): string {
  const { stack = '' } = captureCalls();
  const calls = stack.split('\n').filter((line) => LAYERS_FRAME.test(line));
  const method = calls.map((line) => /at (?:\w+\.)?(\w+\.\w+) \(/.exec(line)?.[1]).find(Boolean);
  return method === undefined ? '' : ` by ${method}`;
}

function isOwnFrame(line: string): boolean {
  return line.includes(folder.href) || line.includes(folder.pathname);
}

function isLibraryFrame(line: string): boolean {
  return isOwnFrame(line) || LIBRARY_FRAME.test(line);
}
