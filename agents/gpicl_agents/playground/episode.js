/* An episode as in the environment: x = A x̄ with A random and x̄ normalised, labels permuted; and 1-NN beside it. */

/** Random numbers from a seed: xorshift (Marsaglia 2003) with 32 bits. */
class Random {
  constructor(seed) {
    this.bits = Math.imul(seed + 1, 2654435761) | 1;
    for (let i = 0; i < 32; i++) this.uniform();
  }

  /** In (0, 1). */
  uniform() {
    this.bits ^= this.bits << 13;
    this.bits ^= this.bits >>> 17;
    this.bits ^= this.bits << 5;
    return (this.bits >>> 0) / 2 ** 32;
  }

  normal() {
    return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** 0 … n − 1 in random order. */
  permutation(n) {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(this.uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

class Episode {
  /** isProjected: whether the learner sees x = A x̄, A (D × D) from N(0, 1/D), or x = x̄; the seed draws the task. */
  constructor(model, seed, isProjected) {
    const random = new Random(seed), { n_features, n_classes } = model.settings;
    Object.assign(this, { model, seed, isProjected, examples: [], state: model.start() });
    this.permutation = random.permutation(n_classes); // label → the number by which the learner knows it
    const entry = () => random.normal() / Math.sqrt(n_features);
    this.matrix = isProjected ? Float32Array.from({ length: n_features ** 2 }, entry) : null;
  }

  /** Predict the label of an image (D,) from 0 to 1, z-normalised by {mean, std}: nothing is learned from it yet. */
  look(image, moments) {
    const normalised = image.map((value) => (value - moments.mean) / moments.std);
    const input = this.isProjected ? linear(this.matrix, normalised) : normalised;
    const n = this.examples.length, last = n ? this.permutation[this.examples[n - 1].label] : null;
    const { probabilities, attention, state } = this.model.step(this.state, input, last);
    const byLabel = this.permutation.map((number) => probabilities[number]);
    const cosines = this.examples.map((example) => cosine(example.input, input));
    const nearest = n ? cosines.indexOf(Math.max(...cosines)) : null;
    return {
      image, moments, input, attention, state, nearest,
      probabilities: byLabel,
      predicted: byLabel.indexOf(Math.max(...byLabel)),
      neighbour: n ? this.examples[nearest].label : this.permutation.indexOf(0), // before any example, a random label
      cosine: n ? cosines[nearest] : 0,
    };
  }

  /** Tell the label of what was looked at: it becomes an example, and its prediction counts. */
  tell(sight, label) {
    const { image, moments, input, predicted, neighbour, state } = sight;
    const isKnown = this.examples.some((example) => example.label === label);
    this.examples.push({ image, moments, input, predicted, neighbour, label, isKnown });
    this.state = state;
  }

  /** The same examples in the same order, and the same task, with or without the projection. */
  replayed(isProjected) {
    const other = new Episode(this.model, this.seed, isProjected);
    for (const { image, moments, label } of this.examples) other.tell(other.look(image, moments), label);
    return other;
  }

  /** Whether each prediction of "predicted" (the learner) or "neighbour" (1-NN) was right. */
  right(who) {
    return this.examples.map((example) => example[who] === example.label);
  }
}

function cosine(a, b) {
  return dot(a, b) / Math.max(Math.sqrt(dot(a, a) * dot(b, b)), 1e-12);
}
