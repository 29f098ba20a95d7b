export const PAYLOAD_BYTES = 128;

/** Keeps `width` round trips in flight for so long, and counts those that came back. */
export async function drive(
  roundTrip: (bytes: Uint8Array) => Promise<unknown>,
  width: number,
  durationMs: number,
): Promise<number> {
  const bytes = new Uint8Array(PAYLOAD_BYTES);
  const end = performance.now() + durationMs;
  let count = 0;
  const work = async (): Promise<void> => {
    while (performance.now() < end) {
      await roundTrip(bytes);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return count;
}
