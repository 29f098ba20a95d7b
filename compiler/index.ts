export { type CompiledFunction, type CompileFunctionOptions, compile } from './compile.ts';
export { type CompiledStep, type CompileOptions, compileStep } from './compile-step.ts';
export type { TensorFunction } from './discover.ts';
export { type EngineName, engineNames } from './engine.ts';
export { type EngineReport, listEngines } from './engines.ts';
export { type ExportOptions, exportOnnx } from './onnx-export.ts';
export {
  decodeSafetensors,
  encodeSafetensors,
  type NamedTensors,
  type SafetensorsFile,
} from './safetensors.ts';
export { createState, type StateStore } from './state-store.ts';
export type { StepFunction, StepResult, TensorMap } from './step-function.ts';
export type { DType, TensorData, TensorSpec } from './tensor-spec.ts';
