/** One line of the runtime changed for the worse, and the promise that it breaks. */
export interface Breakage {
  readonly name: string;
  readonly file: string;
  /** Is there once. */
  readonly from: string;
  readonly to: string;
  /** Some violation of the journal says so. */
  readonly breaks: RegExp;
}

export const breakages: readonly Breakage[] = [
  {
    name: 'states of an earlier life are kept by the servers',
    file: 'runtime/registry/replicated-checkpoints.ts',
    from: 'if (epoch >= pointer.epoch) return;',
    to: 'if (epoch >= 0) return;',
    breaks: /which was saved and acknowledged/,
  },
  {
    name: 'a lease never lapses',
    file: 'runtime/calls/lease.ts',
    from: 'return this.#limited ? this.#until - this.#clock.now() : Number.POSITIVE_INFINITY;',
    to: 'return Number.POSITIVE_INFINITY;',
    breaks: /although .* had been created/,
  },
  {
    name: 'a name is taken without waiting for its node to lapse',
    file: 'runtime/nodes/registration.ts',
    from: 'const leftMs = sighting.since + LEASE_MS + MARGIN_MS - clock.now();',
    to: 'const leftMs = 0;',
    breaks: /although .* had been created/,
  },
  {
    name: 'an owner gives its word for longer than it remembers',
    file: 'runtime/nodes/leases.ts',
    from: 'return remainingMs;\n  }\n\n  /** Under',
    to: 'return remainingMs + 10_000;\n  }\n\n  /** Under',
    breaks: /although .* had been created/,
  },
  {
    name: 'the register writes without comparing',
    file: 'runtime/registry/memory-register.ts',
    from: 'if (this.#entries.get(key)?.revision !== revision) return undefined;',
    to: '',
    breaks: /although .* had been created|lives twice/,
  },
  {
    name: 'a node that was lost gets its word back under the old id',
    file: 'runtime/nodes/leases.ts',
    from: 'this.#ids.delete(nodeId);',
    to: '',
    breaks: /although .* had been created/,
  },
  {
    name: 'calls run as they come',
    file: 'runtime/calls/session.ts',
    from: 'if (!known) this.#held.set(seq, new ReceivedCall(message));',
    to: 'if (!known) this.#run(new ReceivedCall(message));',
    breaks: /ran call \d+ of .* after \d+/,
  },
  {
    name: 'the last call of a mailbox comes first',
    file: 'runtime/calls/mailbox.ts',
    from: 'this.#jobs.push(job);',
    to: 'this.#jobs.splice(this.#head, 0, job);',
    breaks: /ran call \d+ of .* after \d+/,
  },
  {
    name: 'a call that comes again runs again',
    file: 'runtime/calls/session.ts',
    from: 'if (reply instanceof Uint8Array) this.#resend(reply);\n    }\n    this.#admitHeld',
    to: 'if (reply instanceof Uint8Array) this.#run(new ReceivedCall(message));\n    }\n    this.#admitHeld',
    breaks: /ran \d+ times in/,
  },
  {
    name: 'every method is sent to the next life again',
    file: 'runtime/calls/peer.ts',
    from: "if (pending.outgoing.idempotent && this.#status !== 'dead') {",
    to: "if (this.#status !== 'dead') {",
    breaks: /which is no idempotent method, ran \d+ times/,
  },
  {
    name: 'a mailbox is never full',
    file: 'runtime/calls/mailbox.ts',
    from: 'if (this.waiting >= this.#messagesMax) return false;',
    to: '',
    breaks: /the mailbox of .* holds/,
  },
  {
    name: 'a stream runs ahead of its reader',
    file: 'runtime/calls/stream-producer.ts',
    from: 'while (index >= this.#allowed && !this.#closed)',
    to: 'while (index >= this.#allowed + 1 && !this.#closed)',
    breaks: /produced \d+ for/,
  },
  {
    name: 'a deadline is a second late',
    file: 'runtime/calls/call-deadlines.ts',
    from: 'Math.max(0, dueAt - this.#clock.now()),',
    to: 'Math.max(0, dueAt - this.#clock.now()) + 1_000,',
    breaks: /with a deadline of/,
  },
  {
    name: 'a later life does not restore',
    file: 'runtime/nodes/owned-checkpoints.ts',
    from: 'if (!actor.hasCheckpoint) return undefined;',
    to: 'if (actor.epoch > 0) return undefined;',
    breaks: /which was saved and acknowledged/,
  },
  {
    name: 'reminders are no part of a checkpoint',
    file: 'runtime/calls/reminders.ts',
    from: 'return reminders.length === 0 ? state',
    to: 'return reminders.length >= 0 ? state',
    breaks: /reminder .* never came/,
  },
  {
    name: 'reminders of an earlier life come at once',
    file: 'runtime/calls/reminders.ts',
    from: 'this.#arm(name, options, remainingMs);',
    to: 'this.#arm(name, options, remainingMs / 2);',
    breaks: /reminder .* came after/,
  },
  {
    name: 'a silent node is never lost',
    file: 'runtime/nodes/membership.ts',
    from: 'if (lostMs >= 0) {',
    to: 'if (lostMs >= 1e9) {',
    breaks: /can't read/,
  },
  {
    name: 'a node leaves without draining its detached actors',
    file: 'runtime/nodes/detached-actors.ts',
    from: "if (actor.status !== 'restarting') await",
    to: "if (actor.status === 'dead') await",
    breaks: /in a drain/,
  },
  {
    name: 'who keeps a name is not asked',
    file: 'runtime/nodes/names.ts',
    from: 'if (detached !== undefined && node !== endpoint.nodeId) return true;',
    to: 'if (detached !== undefined && node !== endpoint.nodeId) return false;',
    breaks: /lives twice|although .* had been created|began without/,
  },
  {
    name: "a life of a job's controller tells what it has to say whatever its lease",
    file: 'runtime/jobs/job-log.ts',
    from: 'await this.#store.append(job, bytes, after, this.#mayWrite);',
    to: 'await this.#store.append(job, bytes, await this.#store.last(job), async () => true);',
    breaks: /has two runs that act/,
  },
  {
    name: "a job's controller does not hear that it is to stop",
    file: 'runtime/jobs/job-controller.ts',
    from: 'if (stopAsked) this.stop();',
    to: '',
    breaks: /job .* has not ended/,
  },
  {
    name: "a later life of a job's controller begins anew",
    file: 'runtime/jobs/job-controller.ts',
    from: 'resumed: epoch > 1,\n        signal',
    to: 'resumed: false,\n        signal',
    breaks: /began anew after an earlier run/,
  },
  {
    name: 'a node that is told of a lost supervisor believes its own last roll call',
    file: 'runtime/nodes/adoption.ts',
    from: 'if (this.#toldGone.has(nodeId)) return true;',
    to: '',
    breaks: /job .* has not ended/,
  },
];
