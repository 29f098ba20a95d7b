/** Frames of the libraries that a traced function calls, and of this one. */
const LIBRARY_FRAME =
  /[\\/](?:@tensorflow[\\/]|tfjs(?:-\w+)*[\\/](?:src|dist)[\\/])|\(?node:|<anonymous>$/;
const FRAMES_MAX = 200;

/** This folder, as it stands in stack traces: as a URL and, where a tool maps them, as a path. */
const folder = new URL('./', import.meta.url);

/**
 * Where in the user's code the call is that led here, ` at file:line:column` with its function, or
 * nothing if all of the stack is in libraries.
 */
export function placeInUserCode(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = limit;
  const frame = stack
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line.startsWith('at ') && !isLibraryFrame(line));
  return frame === undefined ? '' : ` ${frame}`;
}

function isLibraryFrame(line: string): boolean {
  if (line.includes(folder.href) || line.includes(folder.pathname)) return true;
  return LIBRARY_FRAME.test(line);
}
