/** Subjects are routing keys, not data: short enough for every bus. */
const SUBJECT_BYTES_MAX = 1024;
const SUBJECT = /^[!-)+-\-/-=?-~]+(?:\.[!-)+-\-/-=?-~]+)*$/;
const PATTERN = /^(?:\*|[!-)+-\-/-=?-~]+)(?:\.(?:\*|[!-)+-\-/-=?-~]+))*(?:\.>)?$/;

const INBOX = '_INBOX.';
const ANSWERS = '.r.';
/** Subjects that were found right lately: nearly all messages but answers go to few of them. */
const found = new Set<string>();
const FOUND_MAX = 4096;

/**
 * @throws TypeError for what is no subject, nor a queue's name: words of printable ASCII without
 * `*` and `>`, joined by dots.
 */
export function assertSubject(subject: string): void {
  if (found.has(subject)) return;
  if (subject.length <= SUBJECT_BYTES_MAX && SUBJECT.test(subject)) {
    if (isAnswer(subject)) return;
    if (found.size >= FOUND_MAX) found.clear();
    found.add(subject);
    return;
  }
  throw new TypeError(
    `"${subject.slice(0, 100)}" is no subject. Expected words of printable ASCII without spaces, ` +
      `"*" and ">", joined by dots, at most ${SUBJECT_BYTES_MAX} characters.`,
  );
}

/** The prefix of the subjects for the answers to the requests of one connection. */
export function answersInbox(inbox: string): string {
  return `${inbox}${ANSWERS.slice(0, -1)}`;
}

/** Of these subjects each is used once: remembering them would only crowd out others. */
function isAnswer(subject: string): boolean {
  return subject.startsWith(INBOX) && subject.includes(ANSWERS);
}

/**
 * @throws TypeError for what can't be subscribed to: a subject whose words may be `*` and the last
 * `>`.
 */
export function assertSubjectPattern(pattern: string): void {
  if (pattern === '>') return;
  if (pattern.length <= SUBJECT_BYTES_MAX && PATTERN.test(pattern)) return;
  throw new TypeError(
    `"${pattern.slice(0, 100)}" is no subject to subscribe to. Expected words of printable ASCII ` +
      'joined by dots, where a word may be "*" and the last one ">".',
  );
}

/** Subjects whose matches are remembered. */
const MATCHED_MAX = 4096;

interface Branch<T> {
  readonly branches: Map<string, Branch<T>>;
  readonly entries: Set<T>;
}

/**
 * Finds the entries whose pattern matches a subject in the time of the subject's words, not of the
 * entries.
 */
export class SubjectIndex<T> {
  readonly #exact = new Map<string, Set<T>>();
  readonly #wild: Branch<T> = createBranch();
  /** Results of `match` until an entry comes or goes, as those of `assertSubject`. */
  readonly #matched = new Map<string, readonly T[]>();

  add(pattern: string, entry: T): void {
    this.#matched.clear();
    if (!isWild(pattern)) {
      const entries = this.#exact.get(pattern);
      if (entries) entries.add(entry);
      else this.#exact.set(pattern, new Set([entry]));
      return;
    }
    let branch = this.#wild;
    for (const word of pattern.split('.')) {
      let next = branch.branches.get(word);
      if (!next) {
        next = createBranch();
        branch.branches.set(word, next);
      }
      branch = next;
    }
    branch.entries.add(entry);
  }

  delete(pattern: string, entry: T): void {
    this.#matched.clear();
    if (isWild(pattern)) {
      prune(this.#wild, pattern.split('.'), 0, entry);
      return;
    }
    const entries = this.#exact.get(pattern);
    entries?.delete(entry);
    if (entries?.size === 0) this.#exact.delete(pattern);
  }

  /** In the order of their subscription where the pattern is the subject, then the wild ones. */
  match(subject: string): readonly T[] {
    const known = this.#matched.get(subject);
    if (known !== undefined) return known;
    const exact = this.#exact.get(subject);
    const found = exact ? [...exact] : [];
    if (this.#wild.branches.size > 0) collect(this.#wild, subject.split('.'), 0, found);
    if (isAnswer(subject)) return found;
    if (this.#matched.size >= MATCHED_MAX) this.#matched.clear();
    this.#matched.set(subject, found);
    return found;
  }
}

/** Whether a pattern matches more than one subject. */
export function isWild(pattern: string): boolean {
  return pattern.endsWith('>') || pattern.includes('*');
}

function createBranch<T>(): Branch<T> {
  return { branches: new Map(), entries: new Set() };
}

function collect<T>(branch: Branch<T>, words: readonly string[], depth: number, found: T[]): void {
  if (depth === words.length) {
    found.push(...branch.entries);
    return;
  }
  const rest = branch.branches.get('>');
  if (rest) found.push(...rest.entries);
  const one = branch.branches.get('*');
  if (one) collect(one, words, depth + 1, found);
  const same = branch.branches.get(words[depth]!);
  if (same) collect(same, words, depth + 1, found);
}

/** Removes the entry and the branches that lead nowhere any more: inboxes come and go. */
function prune<T>(branch: Branch<T>, words: readonly string[], depth: number, entry: T): void {
  if (depth === words.length) {
    branch.entries.delete(entry);
    return;
  }
  const word = words[depth]!;
  const next = branch.branches.get(word);
  if (!next) return;
  prune(next, words, depth + 1, entry);
  if (next.entries.size === 0 && next.branches.size === 0) branch.branches.delete(word);
}
