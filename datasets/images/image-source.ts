/** A picture and what it shows. */
export interface LabelledImage {
  /** Row after row, the channels of a pixel side by side: [height, width, channels]. */
  readonly pixels: Uint8Array;
  /** Number of the class. */
  readonly label: number;
}

/** An image that can't be used. */
export interface BadImage {
  /** The file and what of it. */
  readonly where: string;
  readonly problem: string;
}

/** Images of one size, read one after the other, each time from the first on. */
export interface ImageSource {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** By label. */
  readonly classes: readonly string[];
  /** How many there are, bad ones included. */
  readonly count: number;
  /** @throws UserInputError when the file can't be read or ends too early. */
  images(): AsyncIterable<LabelledImage | BadImage>;
}

export function isBad(image: LabelledImage | BadImage): image is BadImage {
  return 'problem' in image;
}
