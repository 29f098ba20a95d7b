import { DamagedDataError } from '../errors.ts';
import {
  byteLengthOf,
  checkData,
  checkSpec,
  type DType,
  sizeOf,
  type TensorData,
  type TensorSpec,
  viewOf,
} from './tensor-spec.ts';

/** Tensors with their values, by name. */
export type NamedTensors = Readonly<Record<string, TensorSpec & { readonly data: TensorData }>>;

export interface SafetensorsFile {
  readonly tensors: NamedTensors;
  /** Whatever the writer had to say. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit. */
const HEADER_BYTES_MAX = 100_000_000;
const METADATA = '__metadata__';
const TYPE_NAMES: Readonly<Record<DType, string>> = { float32: 'F32', int32: 'I32', bool: 'BOOL' };

/**
 * Writes tensors in the safetensors format: the length of a JSON header in 8 bytes, the header, the elements in
 * little-endian order, each tensor after the other.
 * Source: https://github.com/huggingface/safetensors#format
 * @throws TypeError or RangeError for data that doesn't fit its shape.
 */
export function encodeSafetensors({ tensors, metadata }: SafetensorsFile): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header[METADATA] = metadata;
  let byteLength = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    if (name === METADATA) throw new TypeError(`No tensor can have the name '${METADATA}'.`);
    checkSpec(`Tensor '${name}'`, { dtype, shape });
    checkData(`Tensor '${name}'`, { dtype, shape }, data);
    const end = byteLength + data.byteLength;
    header[name] = { dtype: TYPE_NAMES[dtype], shape, data_offsets: [byteLength, end] };
    byteLength = end;
  }
  // Padded with spaces, so that the elements of a mapped file are aligned.
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + byteLength).fill(0x20, 8, 8 + headerLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(json, 8);
  let offset = 8 + headerLength;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a file in the safetensors format. Half precision (F16, BF16) becomes float32; other types than F32, I32 and
 * BOOL are refused. All tensors are copies.
 * @throws DamagedDataError for bytes that are not what they should be.
 */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = bytes.length < 8 ? 0n : view.getBigUint64(0, true);
  if (headerLength < 2n || headerLength > Math.min(bytes.length - 8, HEADER_BYTES_MAX)) {
    throw damaged(`it has ${bytes.length} bytes, and its header would have ${headerLength}`);
  }
  const dataStart = 8 + Number(headerLength);
  const { [METADATA]: metadata = {}, ...entries } = parseHeader(bytes.subarray(8, dataStart));
  const elements = bytes.subarray(dataStart);
  checkPlaces(entries, elements.length);
  const tensors: Record<string, NamedTensors[string]> = {};
  for (const [name, entry] of Object.entries(entries)) {
    Object.defineProperty(tensors, name, {
      value: readTensor(name, entry, elements),
      enumerable: true,
    });
  }
  return { tensors, metadata: checkMetadata(metadata) };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isRecord(header)) return header;
  } catch (cause) {
    throw damaged(`its header is not JSON: ${(cause as Error).message}`);
  }
  throw damaged('its header is not an object');
}

/** The format lets tensors leave nothing out and share nothing. */
function checkPlaces(entries: Readonly<Record<string, unknown>>, byteLength: number): void {
  const places = Object.entries(entries)
    .map(([name, entry]) => [name, ...placeOf(name, entry)] as const)
    .sort(([, start, end], [, otherStart, otherEnd]) => start - otherStart || end - otherEnd);
  let reached = 0;
  for (const [name, start, end] of places) {
    if (start !== reached) {
      throw damaged(`tensor '${name}' begins at byte ${start}, where ${reached} is next`);
    }
    reached = end;
  }
  if (reached !== byteLength) {
    throw damaged(`its tensors end at byte ${reached} of ${byteLength}`);
  }
}

function placeOf(name: string, entry: unknown): readonly [start: number, end: number] {
  const { data_offsets: offsets } = isRecord(entry) ? entry : {};
  if (!isWholeNumbers(offsets) || offsets.length !== 2) {
    throw damaged(`tensor '${name}' has no place`);
  }
  return offsets as [number, number];
}

function checkMetadata(metadata: unknown): Record<string, string> {
  if (isRecord(metadata) && Object.values(metadata).every((value) => typeof value === 'string')) {
    return metadata as Record<string, string>;
  }
  throw damaged('its metadata are not texts by name');
}

/** What is read from a file, and how. */
const READERS: Readonly<
  Record<string, { readonly bytesEach: number; readonly dtype: DType; half?(bits: number): number }>
> = {
  F32: { bytesEach: 4, dtype: 'float32' },
  I32: { bytesEach: 4, dtype: 'int32' },
  BOOL: { bytesEach: 1, dtype: 'bool' },
  F16: { bytesEach: 2, dtype: 'float32', half: fromFloat16 },
  BF16: { bytesEach: 2, dtype: 'float32', half: fromBfloat16 },
};

function readTensor(name: string, entry: unknown, elements: Uint8Array): NamedTensors[string] {
  const [start, end] = placeOf(name, entry);
  const { dtype: type, shape } = entry as Record<string, unknown>;
  if (!isWholeNumbers(shape)) throw damaged(`tensor '${name}' has no shape`);
  const reader = Object.hasOwn(READERS, String(type)) ? READERS[String(type)] : undefined;
  if (reader === undefined) {
    const known = Object.keys(READERS).join(', ');
    throw damaged(`tensor '${name}' is of type ${String(type)}; ${known} can be read`);
  }
  const { bytesEach, dtype, half } = reader;
  const expected = sizeOf(shape) * bytesEach;
  if (start > end || end > elements.length || end - start !== expected) {
    throw damaged(
      `tensor '${name}' ${type}[${shape}] takes ${expected} bytes, but has ${start} … ${end} ` +
        `of ${elements.length}`,
    );
  }
  const spec = { dtype, shape };
  const data = viewOf(spec, new ArrayBuffer(byteLengthOf(spec)));
  const bytes = elements.subarray(start, end);
  if (half === undefined) new Uint8Array(data.buffer).set(bytes);
  else {
    for (let i = 0; i < data.length; i++) data[i] = half(bytes[2 * i]! | (bytes[2 * i + 1]! << 8));
  }
  return { ...spec, data };
}

function fromBfloat16(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}

function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  // The smallest numbers have no leading one.
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWholeNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

function damaged(what: string): DamagedDataError {
  return new DamagedDataError(`This is no whole safetensors file: ${what}.`);
}
