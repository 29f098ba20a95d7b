/** Writes Protocol Buffers messages: the few field kinds that ONNX models need. */
export class ProtobufWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  /** What has been written; a view that the next write may leave behind. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** An int32, int64 or enum field. */
  integer(field: number, value: number | bigint): void {
    this.#varint(field << 3);
    this.#varint(value);
  }

  float(field: number, value: number): void {
    this.#varint((field << 3) | 5);
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  string(field: number, text: string): void {
    this.bytesField(field, new TextEncoder().encode(text));
  }

  bytesField(field: number, bytes: Uint8Array): void {
    this.#varint((field << 3) | 2);
    this.#varint(bytes.length);
    this.raw(bytes);
  }

  /** Repeated integers in the packed form. */
  packed(field: number, values: readonly (number | bigint)[]): void {
    this.message(field, (packed) => {
      for (const value of values) packed.#varint(value);
    });
  }

  /** Fields that have been written before. */
  raw(fields: Uint8Array): void {
    this.#reserve(fields.length);
    this.#bytes.set(fields, this.#length);
    this.#length += fields.length;
  }

  /** A message within the message, of about so many bytes. */
  message(field: number, write: (message: ProtobufWriter) => void, capacityBytes?: number): void {
    const nested = new ProtobufWriter(capacityBytes);
    write(nested);
    this.bytesField(field, nested.bytes);
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    // Negative numbers take the two's complement of 64 bits.
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      this.#bytes[this.#length++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  #reserve(byteLength: number): void {
    const needed = this.#length + byteLength;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.bytes);
    this.#bytes = larger;
  }
}
