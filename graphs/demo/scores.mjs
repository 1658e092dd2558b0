// Scores become probabilities, by the rule of infer: they are probabilities already where the graph ends in what makes them.

/** softmax turns scores into probabilities; the largest is subtracted first, so that nothing overflows. */
export function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return checked(powers.map((power) => power / sum));
}

/**
 * @param {string} head Softmax, Sigmoid, LogSoftmax, or empty for logits
 * @param {string} recorded sigmoid where the record says that each class stands alone
 */
export function probabilitiesOf(scores, head, recorded = '') {
  switch (head) {
    case '': return recorded === 'sigmoid' ? checked(Array.from(scores, (score) => 1 / (1 + Math.exp(-score)))) : softmax(scores);
    case 'LogSoftmax': return checked(Array.from(scores, Math.exp));
    default: return checked(Array.from(scores));
  }
}

/** ranked are the classes from the likeliest on; of two equally likely ones the first comes first. */
export function ranked(probabilities, labels) {
  return probabilities
    .map((probability, index) => ({ index, probability, label: labels[index] ?? String(index) }))
    .sort((a, b) => b.probability - a.probability);
}

function checked(probabilities) {
  if (!probabilities.every(Number.isFinite)) throw new Error('the network answers with scores that are no numbers');
  return probabilities;
}
