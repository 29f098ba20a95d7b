import { Mailbox } from './mailbox.ts';

export interface MailboxesOptions {
  /** In each mailbox. */
  readonly messagesMax: number;
  /** Of the methods that belong to no group. */
  readonly concurrency: number;
  /** Limits of the named groups. */
  readonly groups: Readonly<Record<string, number>>;
}

/** One mailbox for each concurrency group of an actor: a busy group holds up no other. */
export class Mailboxes {
  /** Of the methods that belong to no group. */
  readonly main: Mailbox;
  readonly #groups: ReadonlyMap<string, Mailbox>;

  constructor({ messagesMax, concurrency, groups }: MailboxesOptions) {
    this.main = new Mailbox(messagesMax, concurrency);
    this.#groups = new Map(
      Object.entries(groups).map(([group, limit]) => [group, new Mailbox(messagesMax, limit)]),
    );
  }

  of(group: string | undefined): Mailbox {
    return (group === undefined ? undefined : this.#groups.get(group)) ?? this.main;
  }

  get waiting(): number {
    return this.#all().reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    await Promise.all(this.#all().map((mailbox) => mailbox.idle()));
  }

  clear(): void {
    for (const mailbox of this.#all()) mailbox.clear();
  }

  #all(): readonly Mailbox[] {
    return [this.main, ...this.#groups.values()];
  }
}
