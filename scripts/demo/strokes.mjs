// Ten digits as a hand draws them, in several styles: strokes of points within a square of side 1, y downwards.

// arc runs along an ellipse; angles in degrees, 0 to the right, 90 downwards.
function arc(x, y, across, down, from, to) {
  const steps = Math.max(4, Math.round(Math.abs(to - from) / 12));
  return Array.from({ length: steps + 1 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / steps) * Math.PI) / 180;
    return [x + across * Math.cos(angle), y + down * Math.sin(angle)];
  });
}

// Each digit in two shapes, as they are taught in different places.
const SHAPES = [
  [[arc(0.5, 0.5, 0.28, 0.42, -90, 270)], [arc(0.5, 0.5, 0.36, 0.4, -60, 310)]],
  [[[[0.5, 0.08], [0.5, 0.92]]], [[[0.36, 0.26], [0.54, 0.08], [0.54, 0.92]]]],
  [
    [[...arc(0.5, 0.32, 0.26, 0.24, -160, 30), [0.22, 0.9], [0.8, 0.9]]],
    [[...arc(0.48, 0.3, 0.24, 0.22, -170, 50), [0.3, 0.82], ...arc(0.3, 0.84, 0.09, 0.07, 60, 300), [0.55, 0.86], [0.8, 0.84]]],
  ],
  [
    [[...arc(0.48, 0.29, 0.24, 0.21, -150, 90), ...arc(0.48, 0.7, 0.28, 0.22, -90, 150)]],
    [[[0.24, 0.1], [0.72, 0.1], [0.46, 0.42], ...arc(0.46, 0.66, 0.28, 0.24, -80, 150)]],
  ],
  [
    [[[0.3, 0.08], [0.22, 0.55], [0.78, 0.55]], [[0.68, 0.1], [0.66, 0.92]]],
    [[[0.62, 0.92], [0.62, 0.08], [0.18, 0.64], [0.84, 0.64]]],
  ],
  [
    [[[0.74, 0.1], [0.34, 0.1], [0.3, 0.46], ...arc(0.48, 0.66, 0.26, 0.25, -120, 140)]],
    [[[0.34, 0.12], [0.32, 0.44], ...arc(0.46, 0.66, 0.26, 0.24, -110, 130)], [[0.34, 0.12], [0.76, 0.12]]],
  ],
  [
    [[[0.64, 0.08], ...arc(0.62, 0.66, 0.36, 0.56, -120, -180), ...arc(0.5, 0.7, 0.24, 0.21, 180, -180)]],
    [[[0.42, 0.06], [0.3, 0.4], [0.28, 0.7], ...arc(0.5, 0.7, 0.22, 0.2, 180, -190)]],
  ],
  [
    [[[0.2, 0.12], [0.78, 0.12], [0.42, 0.92]]],
    [[[0.2, 0.14], [0.78, 0.12], [0.56, 0.5], [0.44, 0.92]], [[0.34, 0.52], [0.74, 0.5]]],
  ],
  [
    [[...arc(0.5, 0.29, 0.2, 0.2, 90, -270), ...arc(0.5, 0.7, 0.25, 0.21, -90, 270)]],
    [[...arc(0.5, 0.28, 0.2, 0.19, -30, -260), ...arc(0.5, 0.7, 0.23, 0.21, -80, 250), [0.66, 0.2]]],
  ],
  [
    [[...arc(0.5, 0.32, 0.22, 0.22, -20, -360), [0.7, 0.5], [0.64, 0.92]]],
    [[...arc(0.48, 0.3, 0.22, 0.21, 0, -360), [0.7, 0.6], ...arc(0.46, 0.68, 0.24, 0.24, 20, 130)]],
  ],
];

// A hand's manner: slant (right is positive), turn in degrees, size and place in the square.
const HANDS = [
  { hand: 'upright', slant: 0, turn: 0, size: 0.82, x: 0.09, y: 0.09 },
  { hand: 'slanted', slant: 0.18, turn: 0, size: 0.7, x: 0.2, y: 0.2 },
  { hand: 'small, at the side', slant: 0.05, turn: -6, size: 0.5, x: 0.05, y: 0.4 },
];

/** drawings lists every digit in every shape and hand: {digit, name, strokes}. */
export function drawings() {
  return SHAPES.flatMap((shapes, digit) => shapes.flatMap((shape, i) => HANDS.map((hand) => ({
    digit,
    name: `${digit}, shape ${i + 1}, ${hand.hand}`,
    strokes: shape.map((stroke) => stroke.map((point) => written(point, hand))),
  }))));
}

function written([x, y], { slant, turn, size, x: left, y: top }) {
  const angle = (turn * Math.PI) / 180;
  const [across, down] = [x - 0.5 + slant * (0.5 - y), y - 0.5];
  return [
    left + size * (0.5 + across * Math.cos(angle) - down * Math.sin(angle)),
    top + size * (0.5 + across * Math.sin(angle) + down * Math.cos(angle)),
  ];
}
