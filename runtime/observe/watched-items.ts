export interface ItemsWatch {
  /** The source of items is worked on in here. */
  within<Result>(run: () => Result): Result;
  /** After so many items, with what the source threw if it did. Called once. */
  ended(items: number, error?: unknown): void;
}

/** The items of what `open` returns, watched as they are taken. @throws what `open` throws. */
export function watchItems(
  open: () => AsyncIterable<unknown>,
  { within, ended }: ItemsWatch,
): AsyncIterable<unknown> {
  let items = 0;
  let over = false;
  const end = (error?: unknown): void => {
    if (over) return;
    over = true;
    ended(items, error);
  };
  const attempt = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    try {
      return await within(run);
    } catch (error) {
      end(error);
      throw error;
    }
  };
  let source: AsyncIterator<unknown>;
  try {
    source = within(open)[Symbol.asyncIterator]();
  } catch (error) {
    end(error);
    throw error;
  }
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const result = await attempt(() => source.next());
        if (result.done) end();
        else items += 1;
        return result;
      },
      async return() {
        // A source that is busy with an item ends after it; what was read ends now.
        end();
        await attempt(async () => source.return?.());
        return { done: true, value: undefined };
      },
    }),
  };
}
