/**
 * Emits WebAssembly modules that apply one elementwise program to whole tensors: every element is
 * loaded once, goes through all operations in registers, and the results are stored. Operations are
 * float32 with IEEE rounding, so the result has the same bits as one pass per operation.
 */
export interface ElementwiseProgram {
  /** Which memory holds each tensor that is read or written: 0 or 1. */
  readonly tensors: readonly (0 | 1)[];
  /** Number of scalars that are given at each call. */
  readonly scalarCount: number;
  readonly instructions: readonly Instruction[];
  /** Results that are written back, in order. */
  readonly stores: readonly { readonly tensor: number; readonly value: Operand }[];
}

export type Operand =
  | { readonly tensor: number }
  | { readonly scalar: number }
  | { readonly constant: number }
  | { readonly result: number };

export interface Instruction {
  readonly operator: VectorOperator;
  readonly operands: readonly Operand[];
}

/** Opcodes of `f32x4` instructions, after the SIMD prefix. */
const VECTOR_OPCODES = {
  Abs: 0xe0,
  Neg: 0xe1,
  Sqrt: 0xe3,
  Add: 0xe4,
  Sub: 0xe5,
  Mul: 0xe6,
  Div: 0xe7,
  Min: 0xe8,
  Max: 0xe9,
} as const;

export type VectorOperator = keyof typeof VECTOR_OPCODES;

export function isVectorOperator(operator: string): operator is VectorOperator {
  return operator in VECTOR_OPCODES;
}

/** Tensors start and end on this boundary: a loop turn needs no remainder. */
const BYTES_PER_TURN = 64;

const VECTOR_BYTES = 16;

const TYPE = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
const SECTION = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const OP = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  localGet: 0x20,
  localSet: 0x21,
  i32Const: 0x41,
  i32LessUnsigned: 0x49,
  i32Add: 0x6a,
  f32Const: 0x43,
  simd: 0xfd,
} as const;
const SIMD = { load: 0x00, store: 0x0b, splat: 0x13 } as const;

/**
 * A module that imports memories `m.0` and `m.1` and exports `run(byteLength, …addresses, …scalars)`:
 * one address for each tensor, `byteLength` a multiple of `BYTES_PER_TURN`.
 */
export function emitElementwiseModule(program: ElementwiseProgram): Uint8Array<ArrayBuffer> {
  const parameters = [
    TYPE.i32,
    ...program.tensors.map(() => TYPE.i32),
    ...Array<number>(program.scalarCount).fill(TYPE.f32),
  ];
  const memories = [0, 1].map((index) => [...name('m'), ...name(String(index)), 2, 0, 0]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(SECTION.type, vector([[0x60, ...vector(parameters.map((type) => [type])), 0]])),
    ...section(SECTION.import, vector(memories)),
    ...section(SECTION.function, vector([[0]])),
    ...section(SECTION.export, vector([[...name('run'), 0, 0]])),
    ...section(SECTION.code, vector([sized(new BodyEmitter(program).emit())])),
  ]);
}

/** Locals after the parameters: the offset, then a vector per tensor, scalar, constant and result. */
class BodyEmitter {
  readonly #program: ElementwiseProgram;
  readonly #constants: readonly number[];
  readonly #offset: number;
  readonly #code: number[] = [];

  constructor(program: ElementwiseProgram) {
    this.#program = program;
    const operands = [
      ...program.instructions.flatMap((instruction) => instruction.operands),
      ...program.stores.map((store) => store.value),
    ];
    this.#constants = [
      ...new Set(operands.flatMap((operand) => ('constant' in operand ? [operand.constant] : []))),
    ];
    this.#offset = 1 + program.tensors.length + program.scalarCount;
  }

  emit(): readonly number[] {
    const { tensors, scalarCount, instructions } = this.#program;
    const vectors = tensors.length + scalarCount + this.#constants.length + instructions.length;
    this.#broadcastScalars();
    this.#code.push(OP.loop, 0x40);
    for (let at = 0; at < BYTES_PER_TURN; at += VECTOR_BYTES) this.#applyTo(at);
    this.#get(this.#offset);
    this.#code.push(OP.i32Const, ...signed(BYTES_PER_TURN), OP.i32Add);
    this.#set(this.#offset);
    this.#get(this.#offset);
    this.#get(0);
    this.#code.push(OP.i32LessUnsigned, OP.branchIf, 0, OP.end);
    const locals = vector([
      [...unsigned(1), TYPE.i32],
      [...unsigned(vectors), TYPE.v128],
    ]);
    return [...locals, ...this.#code, OP.end];
  }

  #broadcastScalars(): void {
    for (let scalar = 0; scalar < this.#program.scalarCount; scalar++) {
      this.#get(1 + this.#program.tensors.length + scalar);
      this.#simd(SIMD.splat);
      this.#set(this.#local({ scalar }));
    }
    for (const constant of this.#constants) {
      const bytes = new Uint8Array(Float32Array.of(constant).buffer);
      this.#code.push(OP.f32Const, ...bytes);
      this.#simd(SIMD.splat);
      this.#set(this.#local({ constant }));
    }
  }

  /** One vector of every tensor, `at` bytes after the loop's offset. */
  #applyTo(at: number): void {
    const { tensors, instructions, stores } = this.#program;
    const isRead = (index: number) =>
      [
        ...instructions.flatMap(({ operands }) => operands),
        ...stores.map(({ value }) => value),
      ].some((operand) => 'tensor' in operand && operand.tensor === index);
    for (const [tensor, memory] of tensors.entries()) {
      if (!isRead(tensor)) continue;
      this.#address(tensor);
      this.#access(SIMD.load, memory, at);
      this.#set(this.#local({ tensor }));
    }
    for (const [result, { operator, operands }] of instructions.entries()) {
      for (const operand of operands) this.#get(this.#local(operand));
      this.#simd(VECTOR_OPCODES[operator]);
      this.#set(this.#local({ result }));
    }
    for (const { tensor, value } of stores) {
      this.#address(tensor);
      this.#get(this.#local(value));
      this.#access(SIMD.store, tensors[tensor]!, at);
    }
  }

  #local(operand: Operand): number {
    const { tensors, scalarCount } = this.#program;
    const first = this.#offset + 1;
    if ('tensor' in operand) return first + operand.tensor;
    if ('scalar' in operand) return first + tensors.length + operand.scalar;
    const constants = first + tensors.length + scalarCount;
    if ('constant' in operand) return constants + this.#constants.indexOf(operand.constant);
    return constants + this.#constants.length + operand.result;
  }

  #address(tensor: number): void {
    this.#get(1 + tensor);
    this.#get(this.#offset);
    this.#code.push(OP.i32Add);
  }

  /** Alignment is a hint, 2⁴ bytes; bit 6 says that a memory's index follows. */
  #access(operation: number, memory: 0 | 1, offset: number): void {
    this.#simd(operation);
    this.#code.push(...(memory === 0 ? [4] : [4 | 0x40, memory]), ...unsigned(offset));
  }

  #simd(opcode: number): void {
    this.#code.push(OP.simd, ...unsigned(opcode));
  }

  #get(local: number): void {
    this.#code.push(OP.localGet, ...unsigned(local));
  }

  #set(local: number): void {
    this.#code.push(OP.localSet, ...unsigned(local));
  }
}

function section(id: number, content: readonly number[]): readonly number[] {
  return [id, ...sized(content)];
}

function vector(elements: readonly (readonly number[])[]): readonly number[] {
  return [...unsigned(elements.length), ...elements.flat()];
}

function sized(content: readonly number[]): readonly number[] {
  return [...unsigned(content.length), ...content];
}

function name(text: string): readonly number[] {
  return sized([...new TextEncoder().encode(text)]);
}

/** LEB128 of a number that is not negative. */
function unsigned(value: number): readonly number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

/** Signed LEB128; bit 6 of the last byte is the sign. */
function signed(value: number): readonly number[] {
  const rest = value >> 7;
  const done = (rest === 0 && (value & 64) === 0) || (rest === -1 && (value & 64) !== 0);
  return done ? [value & 127] : [(value & 127) | 128, ...signed(rest)];
}
