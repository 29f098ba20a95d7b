/** Deeper nesting is taken for an attack or a cycle; reader and writer recurse once per level. */
export const FRAME_DEPTH_MAX: number = 64;
/** Array elements, map keys and values of one header together. Bulk belongs into typed arrays. */
export const FRAME_ITEMS_MAX: number = 1 << 20;
/** Everything but attachments. What is larger belongs into typed arrays. */
export const FRAME_HEADER_BYTES_MAX: number = 64 << 20;
export const FRAME_ATTACHMENTS_MAX: number = 1 << 16;
