/** Figures as people read them; a missing one is a dash. */
export function formatNumber(value: number | null | undefined, digits = 3): string {
  return value == null ? '–' : value.toFixed(digits);
}

/** `1,234` */
export function formatCount(value: number | null | undefined): string {
  return value == null ? '–' : Math.round(value).toLocaleString('en-US');
}

/** `12.3 MB`, powers of ten as networks count. */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes == null) return '–';
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`;
}

/** `1 h 02 min`, `3 min 20 s`, `12 s` */
export function formatDuration(ms: number | null | undefined): string {
  if (ms == null) return '–';
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
