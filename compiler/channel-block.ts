import type { Tensor } from 'onnxruntime-node';
import { GraphBuilder } from './graph-builder.ts';
import { writeOnnxModel } from './onnx-model.ts';
import { loadOnnxruntime, openSession } from './onnx-session.ts';

/** The fewest that can be laid out in blocks. */
const IMAGE_CHANNELS = 4;

let known: Promise<number> | undefined;

/**
 * How many channels the native engine's blocked convolutions keep together on this processor: 16 or 8,
 * or 1 where it has none. It says so only by how it fills up an image of four channels.
 */
export function channelBlock(): Promise<number> {
  known ??= measure().catch(() => 1);
  return known;
}

async function measure(): Promise<number> {
  const onnxruntime = await loadOnnxruntime();
  const builder = new GraphBuilder();
  const image = { shape: [1, 1, 1, IMAGE_CHANNELS], dtype: 'float32' } as const;
  const blocked = builder.add('ToBlocks', [image], image, { channels_last: 1 });
  const model = writeOnnxModel({
    inputs: new Map([['image', image]]),
    nodes: builder.nodes,
    outputs: new Map([['blocked', blocked]]),
  });
  const session = await openSession(onnxruntime, model, { provider: 'cpu' });
  try {
    const tensor = new onnxruntime.Tensor('float32', new Float32Array(IMAGE_CHANNELS), image.shape);
    const [result] = Object.values(await session.run({ image: tensor }));
    const channels = (result as Tensor).dims[1]!;
    return channels > IMAGE_CHANNELS ? channels : 1;
  } finally {
    await session.release();
  }
}
