/** Lines of words and numbers that repeat, so that a tokenizer finds something to merge. */
export function exampleText(words: number): string {
  const parts = Array.from({ length: words }, (_, n) => {
    const word = `${['low', 'new', 'wide'][n % 3]}${['er', 'est', '', 'ly'][(n >> 2) % 4]}`;
    return n % 12 === 11 ? `${word} ${n}.\n` : `${word} `;
  });
  return parts.join('');
}
