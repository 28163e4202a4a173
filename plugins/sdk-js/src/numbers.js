// Numbers as the toolchain hands them over.

/**
 * A parameter of the type u32. The toolchain hands those from 2^31 on over as negative numbers.
 * @param {number} value
 */
export const unsigned = (value) => value >>> 0;
