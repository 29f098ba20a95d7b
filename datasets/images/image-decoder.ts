import { convertIndexedToRgb, decode as decodePng, hasPngSignature } from 'fast-png';
import jpeg from 'jpeg-js';

/** A decoded image of 8 bits a channel: 1 grey, 3 colour. */
export interface DecodedImage {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly pixels: Uint8Array;
}

/** A small file can be a very large image. */
const MEGAPIXELS_MAX = 64;

/**
 * Decodes PNG or JPEG, by what the bytes say. Transparency is left out; 16 bits become 8.
 * @throws Error that says what is wrong with the bytes.
 */
export function decodeImage(bytes: Uint8Array): DecodedImage {
  if (hasPngSignature(bytes)) return fromPng(bytes);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return fromJpeg(bytes);
  throw new Error('it is neither PNG nor JPEG');
}

function fromPng(bytes: Uint8Array): DecodedImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Width and height stand at a fixed place; the decoder would make room for any.
  if (bytes.length < 24) throw new Error('the PNG ends too early');
  checkSize(view.getUint32(16), view.getUint32(20));
  const image = decodePng(bytes, { checkCrc: true });
  const { height, width } = image;
  if (image.palette !== undefined) {
    const pixels = convertIndexedToRgb(image);
    return { height, width, ...keepChannels(pixels, pixels.length / (height * width), 3) };
  }
  const channels = image.channels >= 3 ? 3 : 1;
  const data = to8Bits(
    image.data,
    image.depth,
    height * width * image.channels,
    width * image.channels,
  );
  return { height, width, ...keepChannels(data, image.channels, channels) };
}

function fromJpeg(bytes: Uint8Array): DecodedImage {
  const { height, width, data } = jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    maxResolutionInMP: MEGAPIXELS_MAX,
    maxMemoryUsageInMB: 1024,
  });
  return { height, width, channels: 3, pixels: data };
}

function checkSize(width: number, height: number): void {
  if (width * height <= MEGAPIXELS_MAX * 1e6) return;
  throw new Error(`it has ${width} × ${height} pixels, over ${MEGAPIXELS_MAX} million`);
}

function to8Bits(
  data: ArrayLike<number>,
  depth: number,
  count: number,
  valuesPerRow: number,
): Uint8Array {
  if (depth === 8) return Uint8Array.from(data);
  if (depth === 16) return Uint8Array.from({ length: count }, (_, index) => data[index]! >> 8);
  // Grey of 1, 2 or 4 bits lies packed, each row from a new byte on.
  const bytesPerRow = Math.ceil((valuesPerRow * depth) / 8);
  const most = (1 << depth) - 1;
  return Uint8Array.from({ length: count }, (_, index) => {
    const [row, column] = [Math.floor(index / valuesPerRow), index % valuesPerRow];
    const bit = column * depth;
    const byte = data[row * bytesPerRow + (bit >> 3)]!;
    return Math.round((((byte >> (8 - depth - (bit & 7))) & most) * 255) / most);
  });
}

/** Leaves out what a pixel has behind its first `kept` channels: transparency. */
function keepChannels(
  pixels: Uint8Array,
  channels: number,
  kept: 1 | 3,
): Pick<DecodedImage, 'channels' | 'pixels'> {
  if (channels === kept) return { channels: kept, pixels };
  const result = new Uint8Array((pixels.length / channels) * kept);
  for (let from = 0, to = 0; from < pixels.length; from += channels, to += kept) {
    for (let channel = 0; channel < kept; channel++) result[to + channel] = pixels[from + channel]!;
  }
  return { channels: kept, pixels: result };
}
