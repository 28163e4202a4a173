// Corrects numbers from the toolchain.

/**
 * A parameter of type u32. The toolchain passes values from 2^31 as negative numbers.
 * @param {number} value
 */
export const unsigned = (value) => value >>> 0;
