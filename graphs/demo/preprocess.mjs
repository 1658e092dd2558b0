// What MNIST's makers did to NIST's digits, done to a drawing: the ink is scaled to fit a box of 20×20 with its aspect
// ratio kept, which leaves grey levels at the edges, and put into 28×28 with its centre of mass in the middle
// (LeCun, Cortes, Burges: "The MNIST database of handwritten digits").

export const SIDE = 28; // of the picture that a network sees
const BOX = 20; // longest side of the ink in it
const CENTRE = 14; // where MNIST has the centre of mass: pixel 14 of 0…27, along both axes

/**
 * Turns ink of any size into a picture of 28×28.
 * @param {ArrayLike<number>} ink width·height values of 0 (none) to 255 (full), row by row
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array | null} 784 pixels of 0…255, row by row; null where there is no ink
 */
export function toPicture(ink, width, height) {
  if (ink.length !== width * height) {
    throw new RangeError(`${ink.length} values of ink are not ${width}×${height}`);
  }
  const bounds = boundsOf(ink, width, height);
  if (!bounds) return null;
  return centred(shrunk(ink, width, bounds));
}

// boundsOf returns the smallest rectangle around all ink; right and bottom lie outside.
function boundsOf(ink, width, height) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (ink[y * width + x] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  return right > left ? { left, top, right, bottom } : null;
}

// shrunk averages the ink within the bounds over the areas that the pixels of the box cover.
function shrunk(ink, stride, { left, top, right, bottom }) {
  const scale = BOX / Math.max(right - left, bottom - top);
  const columns = shares(right - left, scale);
  const rows = shares(bottom - top, scale);
  const values = new Float64Array(columns.count * rows.count);
  for (const [y, row, tall] of rows.parts) {
    for (const [x, column, wide] of columns.parts) {
      values[row * columns.count + column] += tall * wide * ink[(top + y) * stride + left + x];
    }
  }
  return { values, width: columns.count, height: rows.count };
}

// shares tells how much of each target pixel every source pixel covers along one axis: parts of [source, target, share].
// The target is a whole number of pixels, so the ink lies in its middle.
function shares(length, scale) {
  const scaled = length * scale;
  const count = Math.max(1, Math.round(scaled));
  const start = (count - scaled) / 2;
  const parts = [];
  for (let source = 0; source < length; source++) {
    const [from, to] = [start + source * scale, start + (source + 1) * scale];
    for (let target = Math.max(0, Math.floor(from)); target < Math.min(count, to); target++) {
      const share = Math.min(to, target + 1) - Math.max(from, target);
      if (share > 0) parts.push([source, target, share]);
    }
  }
  return { count, parts };
}

// centred moves a small picture by whole pixels into 28×28.
function centred({ values, width, height }) {
  let [mass, atX, atY] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = values[y * width + x];
      mass += value;
      atX += value * x;
      atY += value * y;
    }
  }
  const left = placed(atX / mass, width);
  const top = placed(atY / mass, height);
  const picture = new Uint8Array(SIDE * SIDE);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      picture[(top + y) * SIDE + left + x] = Math.round(Math.min(255, values[y * width + x]));
    }
  }
  return picture;
}

// placed returns where ink of this length begins, so that its centre of mass lies nearest to CENTRE and none of it outside.
function placed(centre, length) {
  return Math.min(SIDE - length, Math.max(0, Math.round(CENTRE - centre)));
}