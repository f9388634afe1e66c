/* A drawing as an image like those of MNIST: 28 × 28, the ink in a box of 20 × 20, its centre of mass in the middle. */

const SIDE = 28, BOX = 20;
const PEN = 2.6; // pixels: the width of the strokes, at which the ink is about that of MNIST
const SMALLEST = 0.05; // of the drawing area: what is smaller, as a dot, is not enlarged to fill the box
const FARTHEST = 4; // pixels that the box may move without leaving the image

/** Strokes (lists of [x, y] from 0 to 1) → Float32Array(784) from 0 to 1. */
function glyphImage(strokes) {
  const points = strokes.flat(), [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (BOX - PEN) / Math.max(right - left, bottom - top, SMALLEST);
  const middle = [(left + right) / 2, (top + bottom) / 2];
  const moved = (some, change) => some.map((stroke) => stroke.map((point) => point.map(change)));
  const boxed = moved(strokes, (v, axis) => (v - middle[axis]) * scale + SIDE / 2);
  const shift = centreOfMass(rasterised(boxed)).map((v) => Math.max(-FARTHEST, Math.min(FARTHEST, SIDE / 2 - v)));
  return rasterised(moved(boxed, (v, axis) => v + shift[axis]));
}

/** Strokes in pixels → the image, smoothed at the edges: how much of a pixel the nearest stroke covers. */
function rasterised(strokes) {
  const image = new Float32Array(SIDE * SIDE);
  for (const stroke of strokes) {
    for (let i = 0; i < Math.max(1, stroke.length - 1); i++) drawLine(image, stroke[i], stroke[i + 1] ?? stroke[i]);
  }
  return image;
}

function drawLine(image, [ax, ay], [bx, by]) {
  const reach = PEN / 2 + 1, [dx, dy] = [bx - ax, by - ay], square = dx * dx + dy * dy;
  const within = (v) => Math.max(0, Math.min(SIDE, v));
  const range = (a, b) => [within(Math.floor(Math.min(a, b) - reach)), within(Math.ceil(Math.max(a, b) + reach))];
  const [[left, right], [top, bottom]] = [range(ax, bx), range(ay, by)];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const [x, y] = [column + 0.5 - ax, row + 0.5 - ay];
      const along = square ? Math.max(0, Math.min(1, (x * dx + y * dy) / square)) : 0;
      const covered = PEN / 2 + 0.5 - Math.hypot(x - along * dx, y - along * dy);
      const at = row * SIDE + column;
      image[at] = Math.max(image[at], Math.min(1, covered));
    }
  }
}

/** The image's centre of mass (x, y) in pixels; that of an empty one is its middle. */
function centreOfMass(image) {
  let [sum, x, y] = [0, 0, 0];
  image.forEach((ink, i) => {
    sum += ink;
    x += ink * ((i % SIDE) + 0.5);
    y += ink * (Math.floor(i / SIDE) + 0.5);
  });
  return sum ? [x / sum, y / sum] : [SIDE / 2, SIDE / 2];
}
